"""Merge `spec.podTemplate` into our pod template, the way kubectl's strategic merge does for the parts people use.

Maps are merged key by key, lists of named items by name (containers, volumes, env, claims) or by mount path
(volumeMounts), other lists are replaced. A null removes a key.
"""

from collections.abc import Mapping
from typing import Any, Final

MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "resourceClaims": "name",
    "claims": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
}


def merge(base: Any, patch: Any, key: str = "") -> Any:
    """A new value: `base` overlaid with `patch`; neither is changed. `key` is the field that holds both."""
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        merged = {name: value for name, value in base.items() if patch.get(name, value) is not None}
        for name, value in patch.items():
            if value is not None:
                merged[name] = merge(base[name], value, name) if name in base else value
        return merged
    if isinstance(base, list) and isinstance(patch, list) and key in MERGE_KEYS:
        return _merge_named(base, patch, MERGE_KEYS[key])
    return patch


def _merge_named(base: list[Any], patch: list[Any], merge_key: str) -> list[Any]:
    merged = {item.get(merge_key): item for item in base}
    for item in patch:
        name = item.get(merge_key)
        merged[name] = merge(merged[name], item) if name in merged else item
    return list(merged.values())
