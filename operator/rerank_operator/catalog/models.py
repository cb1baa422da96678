"""Look up a model by its name."""

import functools
from importlib import resources
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from rerank_operator.api.v1alpha1 import Language


class Entry(BaseModel):
    """What is known about one model."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)
    id: str
    max_length: Annotated[int, Field(ge=1)] | None = None
    languages: tuple[Language, ...] = ()
    source: str = ""


def lookup(name: str) -> Entry:
    """The entry of a model; a model that is not known gets an entry without facts, and vLLM's own defaults."""
    return _entries().get(name.lower(), Entry(id=name))


@functools.cache
def _entries() -> dict[str, Entry]:
    text = resources.files(__package__).joinpath("models.yaml").read_text(encoding="utf-8")
    entries = TypeAdapter(list[Entry]).validate_python(yaml.safe_load(text))
    return {entry.id.lower(): entry for entry in entries}
