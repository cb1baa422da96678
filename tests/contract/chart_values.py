"""The chart's values as values.yaml tells them: a `# --` comment makes the key below it a value."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_COMMENT = re.compile(r"^ *# (?P<first>-- )?(?P<text>.*)$")
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9]*):")


@dataclass(frozen=True)
class Value:
    """One value: where it is, what it is when nobody sets it, and what it does."""

    path: tuple[str, ...]
    default: Any
    description: str

    @property
    def name(self) -> str:
        """The path as `--set` takes it."""
        return ".".join(self.path)


def read_values(file: Path) -> list[Value]:
    """Return the values in the order of the file; keys without a `# --` comment are groups."""
    text = file.read_text(encoding="utf-8")
    return [Value(path, _at(yaml.safe_load(text), path), comment) for path, comment in _described(text)]


def uncommented(file: Path) -> list[str]:
    """Return the names of values that no `# --` comment describes."""
    described = {value.path for value in read_values(file)}
    leaves = _leaves(yaml.safe_load(file.read_text(encoding="utf-8")), described)
    return [".".join(path) for path in leaves if path not in described]


def build_table(values: list[Value]) -> str:
    """The values as a Markdown table."""
    rows = [f"| `{value.name}` | `{json.dumps(value.default)}` | {value.description} |" for value in values]
    return "\n".join(["| value | default | what it does |", "|---|---|---|", *rows])


def _described(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    parents: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        if said := _COMMENT.match(line):
            if said["first"]:
                comment = [said["text"]]
            elif comment:
                comment.append(said["text"])
        elif key := _KEY.match(line):
            indent = len(key["indent"])
            parents = [*((depth, name) for depth, name in parents if depth < indent), (indent, key["key"])]
            if comment:
                yield tuple(name for _, name in parents), " ".join(comment)
            comment = []
        else:
            comment = []


def _leaves(values: dict[str, Any], described: set[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and value and (key,) not in described:
            inner = {path[1:] for path in described if path[0] == key}
            yield from ((key, *path) for path in _leaves(value, inner))
        else:
            yield (key,)


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values
