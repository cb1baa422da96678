"""Look up a model by its name, in the files of `models/`: one list of entries per maker."""

import functools
from importlib import resources

import yaml
from pydantic import TypeAdapter

from rerank_operator.catalog.entry import Entry


def lookup(name: str) -> Entry:
    """The entry of a model; a model that is not known gets an entry without facts, and vLLM's own defaults."""
    return _by_name().get(name.lower(), Entry(id=name))


@functools.cache
def entries() -> tuple[Entry, ...]:
    """Every entry, ordered by id."""
    files = resources.files(__package__).joinpath("models").iterdir()
    texts = [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".yaml")]
    read = TypeAdapter(list[Entry]).validate_python
    return tuple(sorted((entry for text in texts for entry in read(yaml.safe_load(text))), key=lambda e: e.id.lower()))


@functools.cache
def _by_name() -> dict[str, Entry]:
    return {name.lower(): entry for entry in entries() for name in (entry.id, *entry.aliases)}
