"""Families of models: how a model is served that has no entry of its own, by what its own files say.

The choice is made where the files are: by `engine/check_model.py` in the model pod.
"""

import functools
from importlib import resources
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from rerank_operator.api.reasons import Reason


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class FamilyRefusal(_Data):
    """Why no model of the family is served, and what to do instead."""

    reason: Reason
    message: str


class Family(_Data):
    """What config.json names, and what follows from it; the fields are told in families.yaml."""

    name: str
    architectures: Annotated[tuple[str, ...], Field(min_length=1)]
    encoder: bool = False
    extra_positions: Annotated[int, Field(ge=0)] = 0
    hf_overrides: dict[str, Any] = Field(default_factory=dict)
    trust_remote_code: bool = False
    warning: str = ""
    refusal: FamilyRefusal | None = None
    source: str


@functools.cache
def families() -> tuple[Family, ...]:
    """Every family, in the order in which they are tried."""
    text = resources.files(__package__).joinpath("families.yaml").read_text(encoding="utf-8")
    return tuple(TypeAdapter(list[Family]).validate_python(yaml.safe_load(text)))
