"""Render a template into a Kubernetes object.

Every value goes through `tojson`, so that a name such as `no` or `1e3` stays the string it is, and an undefined
name is an error.
"""

import functools
import json
from typing import Any

import jinja2
import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("rerank_operator.resources"),
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # a file is never changed under a running operator
        autoescape=False,  # noqa: S701 - YAML, not HTML; tojson quotes every value
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, /, **values: Any) -> dict[str, Any]:
    """Render `templates/<template>` and parse it; raises jinja2.UndefinedError for a missing value.

    Parsing is slow, so that a value which is large and rendered often is put in by the builder afterwards.
    """
    parsed: dict[str, Any] = json.loads(_as_json(_environment().get_template(template).render(**values)))
    return parsed


@functools.lru_cache(maxsize=4096)
def _as_json(text: str) -> str:
    """Parse YAML once per text: JSON, read anew for every caller, takes a hundredth of the time."""
    return json.dumps(yaml.load(text, Loader=_Loader))  # noqa: S506 - a safe loader, in C where there is one


class _ReadableDumper(yaml.SafeDumper):
    """Block text for several lines, and no anchors: what a person would have written."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_ReadableDumper.add_representer(str, _represent_text)


def to_yaml(*objects: dict[str, Any]) -> str:
    """Objects as YAML documents for people to read."""
    return yaml.dump_all(objects, Dumper=_ReadableDumper, sort_keys=False, width=110, allow_unicode=True)


def owner_reference(owner: dict[str, Any]) -> dict[str, Any]:
    """Make the reranker the controller of a child, so that the child goes when the reranker goes."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
