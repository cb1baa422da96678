"""Render a template into a Kubernetes object.

Every value goes through `tojson`, which leaves a place in the text where the parsed object gets the value. So a name
such as `no` or `1e3` stays the string it is, an undefined name is an error, and a text is parsed once for all objects
of its shape: parsing YAML is slow.
"""

import functools
import json
from typing import Any, Final

import jinja2
import yaml

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Begins a place; for private use in Unicode, and in no template's own text.
_PLACE: Final = "\ue000"
_HELD: Final = "_held"


@jinja2.pass_context
def _hold(context: jinja2.runtime.Context, value: Any) -> str:
    """The filter `tojson`: keep the value for later, and leave its place in the text."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises the error that names it
    held: list[str] = context[_HELD]
    held.append(json.dumps(value, sort_keys=True))
    return f'"{_PLACE}{len(held) - 1}"'


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rerank_operator.resources"),
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # a file is never changed under a running operator
        autoescape=False,  # noqa: S701 - YAML, not HTML; tojson keeps every value out of the text
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tojson"] = _hold
    return environment


def render(template: str, /, **values: Any) -> dict[str, Any]:
    """Render `templates/<template>` and parse it; raises jinja2.UndefinedError for a missing value."""
    held: list[str] = []
    text = _environment().get_template(template).render({**values, _HELD: held})
    rendered: dict[str, Any] = _filled(_parsed(text), held)
    return rendered


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, in C where there is one


def _filled(node: Any, held: list[str]) -> Any:
    """A copy with the values in their places."""
    if isinstance(node, dict):
        return {key: _filled(value, held) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, held) for value in node]
    if isinstance(node, str) and node.startswith(_PLACE):
        return json.loads(held[int(node[len(_PLACE) :])])
    return node


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
