"""What differs between two objects: a unified diff of their YAML that shows the changed fields only. Pure."""

import difflib
from collections.abc import Mapping
from typing import Any, Final

from rerank_operator.resources.drift import is_drifted
from rerank_operator.resources.render import to_yaml

# Items of these lists are told apart by this key, so that one changed item is shown and not the whole list.
_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "name",
    "volumeMounts": "mountPath",
}
# Written by the API server, or by the operator about a roll-out that is under way.
_NOT_WANTED: Final = {"apiVersion", "kind", "status"}
_CONTEXT: Final = 1000
# Of a long text or command, more equal lines or words in a row are left out.
_MOST_EQUAL: Final = 3
_LEFT_OUT: Final = "…"


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines of a unified diff, without its header; empty when nothing differs that anybody asked for."""
    old, new = (
        {field: value for field, value in obj.items() if field not in _NOT_WANTED} | {"metadata": _metadata(obj)}
        for obj in (before, after)
    )
    left, right = (to_yaml(side).splitlines() if side else [] for side in _changed(old, new))
    return list(difflib.unified_diff(left, right, n=_CONTEXT, lineterm=""))[3:]


def ours_of(live: Any, ours: Any, field: str = "") -> Any:
    """What a live object says about the fields that `ours` has; defaults and fields of others are left out."""
    if isinstance(live, Mapping) and isinstance(ours, Mapping):
        return {key: ours_of(live[key], value, key) for key, value in ours.items() if key in live}
    if not isinstance(live, list) or not isinstance(ours, list):
        return live
    key = _KEYS.get(field)
    if key is None:
        same = len(live) == len(ours)
        return [ours_of(a, b) for a, b in zip(live, ours, strict=True)] if same else live
    named = {item.get(key): item for item in ours if isinstance(item, Mapping)}
    return [ours_of(item, named[item[key]]) if item.get(key) in named else item for item in live]


def _metadata(obj: dict[str, Any]) -> dict[str, Any]:
    """Labels only: names tell themselves, and annotations of ours are about roll-outs and hashes."""
    labels = obj["metadata"].get("labels")
    return {"labels": labels} if labels else {}


def _changed(before: Any, after: Any, field: str = "") -> tuple[Any, Any]:
    """Both sides without what is equal."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        left: dict[str, Any] = {}
        right: dict[str, Any] = {}
        for key in [*before, *(key for key in after if key not in before)]:
            if key in before and key in after:
                if not _is_same(before[key], after[key], key):
                    for side, part in zip((left, right), _changed(before[key], after[key], key), strict=True):
                        side.update({key: part} if part not in ({}, []) else {})
            else:
                (left if key in before else right)[key] = before.get(key, after.get(key))
        return left, right
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        left_lines, right_lines = _shortened(before.splitlines(), after.splitlines())
        return "\n".join([*left_lines, ""]), "\n".join([*right_lines, ""])
    if not isinstance(before, list) or not isinstance(after, list):
        return before, after
    if all(isinstance(item, str) for item in (*before, *after)):
        return _shortened(before, after)
    key = _KEYS.get(field)
    return (before, after) if key is None else _changed_items(before, after, key)


def _shortened(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    """Lines of two texts, or words of two commands, with one equal neighbour on each side of a change."""
    left: list[str] = []
    right: list[str] = []
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        equal = before[start:end]
        if tag == "equal" and len(equal) > _MOST_EQUAL:
            first = equal[:1] if start else []
            last = equal[-1:] if end < len(before) or new_end < len(after) else []
            equal = [*first, _LEFT_OUT, *last]
        left += equal
        right += equal if tag == "equal" else after[new_start:new_end]
    return left, right


def _changed_items(before: list[Any], after: list[Any], key: str) -> tuple[Any, Any]:
    old, new = ({item.get(key): item for item in items} for items in (before, after))
    left: list[Any] = []
    right: list[Any] = []
    for name in dict.fromkeys([*old, *new]):
        if name in old and name in new:
            if not _is_same(old[name], new[name]):
                a, b = _changed(old[name], new[name])
                left.append({key: name, **a})
                right.append({key: name, **b})
        else:
            (left if name in old else right).append(old.get(name) or new.get(name))
    return left, right


def _is_same(before: Any, after: Any, field: str = "") -> bool:
    """Whether neither side says what the other does not; quantities are the same when their amounts are."""
    directions = (is_drifted(before, after, field), is_drifted(after, before, field))
    # A number of a file is text in the API server, and only one direction knows that both are the same.
    return not (any(directions) if isinstance(before, Mapping | list) else all(directions))
