"""What the declarations of the resource share: kinds of text, references, and how rules are written down."""

from enum import StrEnum
from typing import Annotated, Any, Final

from kube_custom_resource import schema
from pydantic import ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules of one object as (rule, message) pairs."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def strict(*pairs: tuple[str, str]) -> ConfigDict:
    """A model that names unknown fields instead of dropping them, with its CEL rules."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra=rules(*pairs) if pairs else None)


LIST_SET: Final = {"x-kubernetes-list-type": "set"}
LIST_BY_NAME: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
Name = Annotated[str, Field(min_length=1, max_length=253)]
Text = Annotated[str, Field(max_length=4096)]
Free = schema.Dict[str, schema.Any]


class Words(StrEnum):
    """A field that takes one of a few words; without the title that pydantic would write into the schema."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The words only."""
        words = handler.resolve_ref_schema(handler(core_schema))
        words.pop("title", None)
        return words


class SecretKeyRef(schema.BaseModel):
    """One key of a Secret in the namespace of the resource."""

    model_config = strict()
    name: Name = Field(description="Name of the Secret.")
    key: Name = Field("token", description="Key in the Secret.")


class LocalRef(schema.BaseModel):
    """A reference by name within the namespace."""

    model_config = strict()
    name: Name = Field(description="Name of the object.")
