"""Build the CustomResourceDefinition from the pydantic models."""

from collections.abc import Iterator
from typing import Any, get_args

from kube_custom_resource import CustomResourceRegistry
from pydantic import BaseModel

from rerank_operator.api import names, v1alpha1


def build_crd() -> dict[str, Any]:
    """The CRD as a Kubernetes object; `crds/` and the chart hold exactly this."""
    registry = CustomResourceRegistry(names.GROUP, categories=["rerank"])
    registry.register_model(v1alpha1.RerankService)
    (definition,) = registry
    crd: dict[str, Any] = definition.kubernetes_resource(include_defaults=True)
    (version,) = crd["spec"]["versions"]
    version["selectableFields"] = [{"jsonPath": ".spec.model.name"}]
    schema = version["schema"]["openAPIV3Schema"]
    _describe(schema, v1alpha1.RerankService)
    _clean(schema)
    schema["properties"]["status"].pop("nullable", None)
    # As in the Gateway API: a resource that nobody has looked at says so.
    schema["properties"]["status"]["default"] = {"conditions": v1alpha1.initial_conditions()}
    return crd


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Give each property the description of its field, where that of its type has taken its place."""
    for name, field in model.model_fields.items():
        prop = schema["properties"].get(field.alias or name)
        if prop is None:
            continue
        prop["description"] = field.description
        for nested in _models_in(field.annotation):
            _describe(prop.get("items", prop), nested)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _clean(schema: dict[str, Any]) -> None:
    """Drop what pydantic says and a CRD should not: null defaults, nullable, empty objects as defaults.

    An absent optional field and a null mean the same; only absence is accepted, so that CEL's has() is enough.
    """
    for key in ("nullable", "additionalProperties"):
        if schema.get(key) in (True, False):
            schema.pop(key)
    if "default" in schema and schema["default"] in (None, {}, []):
        schema.pop("default")
    if schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" in schema:
        schema.pop("additionalProperties")
    for child in schema.get("properties", {}).values():
        _clean(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _clean(schema[key])
