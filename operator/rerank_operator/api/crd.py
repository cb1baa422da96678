"""Build the CustomResourceDefinition from the pydantic models."""

from typing import Any

from kube_custom_resource import CustomResourceRegistry

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
    _clean(schema)
    schema["properties"]["status"].pop("nullable", None)
    # As in the Gateway API: a resource that nobody has looked at says so.
    schema["properties"]["status"]["default"] = {"conditions": v1alpha1.initial_conditions()}
    return crd


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
