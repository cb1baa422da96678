"""Find out whether a live object still says what we say, without writing to it.

Same rules as server-side apply: maps may hold more than ours (defaults, fields of others), lists of named items
may hold more items, other lists must be equal. Quantities are equal when their amounts are.

Annotations are the exception: a user takes one out of the spec, and others write theirs beside it. So the object lists
those that came from the spec, and of these it may hold no more than ours.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rerank_operator.api import names

_LIST_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ports": "name",
    "volumeMounts": "mountPath",
    "ownerReferences": "uid",
}

_QUANTITY: Final = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)")
_DECIMAL: Final = {s: Decimal(1000) ** p for p, s in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)}
_BINARY: Final = {s: Decimal(1024) ** p for p, s in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)}

# In these lists, what others added to our items stays: the nodePort that Kubernetes chose, a mesh's appProtocol.
_KEPT_ITEMS: Final = {"ports"}

# What nobody but us sets: gone from ours, it goes. It says who may call, and so must not outlive the spec.
_OURS_ALONE: Final = {"loadBalancerSourceRanges"}

# Selectors are replaced as a whole: one label more selects other pods.
_WHOLE_MAPS: Final = {"selector", "matchLabels", "nodeSelector"}


def is_drifted(ours: Any, live: Any, field: str = "") -> bool:
    """Whether `live` lacks or contradicts anything in `ours`."""
    if _is_empty(ours):
        return not _is_empty(live) and not isinstance(ours, Mapping)
    if isinstance(ours, Mapping):
        if not isinstance(live, Mapping) or (field in _WHOLE_MAPS and set(ours) != set(live)):
            return True
        left = any(live.get(key) for key in _OURS_ALONE if key not in ours) or bool(_left_the_spec(ours, live, field))
        return left or any(is_drifted(v, live.get(k), k) for k, v in ours.items())
    if isinstance(ours, list):
        return not isinstance(live, list) or _is_list_drifted(ours, live, field)
    return bool(ours != live) and not _is_same_quantity(ours, live)


def overlay(live: Any, ours: Any, field: str = "") -> Any:
    """What is there with our fields put in: maps keep what others added, selectors and most lists become ours."""
    if isinstance(ours, Mapping) and isinstance(live, Mapping) and field not in _WHOLE_MAPS:
        kept = {key: value for key, value in live.items() if key not in _OURS_ALONE}
        if left := _left_the_spec(ours, live, field):
            kept["annotations"] = {name: value for name, value in live["annotations"].items() if name not in left}
        return {**kept, **{key: overlay(kept.get(key), value, key) for key, value in ours.items()}}
    if field in _KEPT_ITEMS and isinstance(live, list) and _is_keyed(ours, key := _LIST_KEYS[field]):
        by_key = _by_key(live, key)
        return [overlay(by_key.get(item[key]), item) for item in ours]
    return ours


def from_spec(annotations: Mapping[str, str]) -> dict[str, str]:
    """Annotations of the spec, and beside them the list of their names; empty where the spec has none."""
    ours = {name: value for name, value in annotations.items() if name != names.ANNOTATION_FROM_SPEC}
    return {**ours, names.ANNOTATION_FROM_SPEC: ",".join(sorted(ours))} if ours else {}


def _left_the_spec(ours: Mapping[str, Any], live: Mapping[str, Any], field: str) -> set[str]:
    """Names of live annotations that came from the spec and are in it no more; their list goes with the last one."""
    annotations = (live.get("annotations") or {}) if field == "metadata" else {}
    listed = annotations.get(names.ANNOTATION_FROM_SPEC)
    if listed is None:
        return set()
    came = {names.ANNOTATION_FROM_SPEC, *listed.split(",")}
    return (came & set(annotations)) - set(ours.get("annotations") or {})


def _is_list_drifted(ours: list[Any], live: list[Any], field: str) -> bool:
    key = _LIST_KEYS.get(field)
    if key is None or not _is_keyed(ours, key):
        return len(ours) != len(live) or any(is_drifted(a, b) for a, b in zip(ours, live, strict=True))
    by_key = _by_key(live, key)
    return any(is_drifted(item, by_key.get(item[key])) for item in ours)


def _is_keyed(items: Any, key: str) -> bool:
    return isinstance(items, list) and all(isinstance(item, Mapping) and key in item for item in items)


def _by_key(items: list[Any], key: str) -> dict[Any, Any]:
    return {item.get(key): item for item in items if isinstance(item, Mapping)}


def _is_empty(value: Any) -> bool:
    """Whether the API server may drop the value: empty text, list, map, or null."""
    return value is None or value in ("", [], {})


def _is_same_quantity(ours: Any, live: Any) -> bool:
    if isinstance(ours, bool) or not isinstance(live, str) or not isinstance(ours, str | int | float):
        return False
    ours_amount, live_amount = _amount(str(ours)), _amount(live)
    return ours_amount is not None and ours_amount == live_amount


def _amount(quantity: str) -> Decimal | None:
    """The number that a Kubernetes quantity means; None for other text."""
    match = _QUANTITY.fullmatch(quantity)
    if match is None or match[1].count(".") > 1:
        return None
    if match[2]:
        return Decimal(match[1] + match[2])
    return Decimal(match[1]) * (_DECIMAL | _BINARY)[match[3] or ""]
