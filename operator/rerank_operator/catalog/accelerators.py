"""What vLLM runs on, as data: the resource, the image and the flags of each kind of accelerator."""

import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

from rerank_operator.api.v1alpha1 import AcceleratorType, Dtype


class Platform(BaseModel):
    """What is known about one kind of accelerator; the fields are told in `accelerators.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)
    type: AcceleratorType
    resource: str | None = None
    other_resources: tuple[str, ...] = ()
    image: str = ""
    image_setting: Annotated[str, Field(pattern="^([a-z]+_)?engine_image$")]
    dtype: Dtype = Dtype.AUTO
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    shards: bool = True
    takes_memory_share: bool = True
    cache_variable: str | None = None
    unverified: tuple[str, ...] = ()
    sources: dict[str, str]

    def is_offered_as(self, resource: str) -> bool:
        """Whether this is an extended resource of its device plugins: whole ones, slices, or time-slices."""
        whole = self.resource is not None and f"{resource}.".startswith(f"{self.resource}.")
        return whole or resource.startswith(self.other_resources)


def platform(kind: AcceleratorType) -> Platform:
    """What is known about one kind of accelerator."""
    return platforms()[kind]


@functools.cache
def platforms() -> Mapping[AcceleratorType, Platform]:
    """All of them, in the order of the file."""
    text = resources.files(__package__).joinpath("accelerators.yaml").read_text(encoding="utf-8")
    read = TypeAdapter(list[Platform]).validate_python(yaml.safe_load(text))
    return MappingProxyType({entry.type: entry for entry in read})
