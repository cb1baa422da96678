"""`spec.accelerator`, `resources`, `scheduling` and `podTemplate`: where model pods run."""

from typing import Annotated, Final

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.fields import LIST_BY_NAME, Free, Name, Words, strict

_RESOURCE_NAME: Final = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_MEMORY: Final = "^[0-9]+([.][0-9]+)?([kMGT]|[KMGT]i)?$"


class AcceleratorType(Words):
    """What computes."""

    NVIDIA_GPU = "NvidiaGPU"
    AMD_GPU = "AMDGPU"
    INTEL_GPU = "IntelGPU"
    GAUDI = "Gaudi"
    TPU = "TPU"
    CPU = "CPU"


class DeviceClaim(schema.BaseModel):
    """A claim of dynamic resource allocation."""

    model_config = strict(
        (
            "has(self.resourceClaimName) != has(self.resourceClaimTemplateName)",
            (
                "accelerator.claims takes resourceClaimName (one claim for all pods) or resourceClaimTemplateName "
                "(a claim for each pod): set exactly one of them"
            ),
        )
    )
    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Name of the claim within the pod.")
    resource_claim_name: schema.Optional[Name] = Field(
        None, description="A ResourceClaim, whose devices all pods of the reranker share."
    )
    resource_claim_template_name: schema.Optional[Name] = Field(
        None, description="A ResourceClaimTemplate, from which each pod gets a claim of its own."
    )
    request: schema.Optional[Name] = Field(None, description="Request within the claim. Default: all of them.")


class Accelerator(schema.BaseModel):
    """What the model runs on."""

    model_config = strict(
        (
            "self.type != 'CPU' || !has(self.count)",
            "accelerator.count counts GPUs: remove it, or set accelerator.type to NvidiaGPU",
        ),
        (
            "self.type != 'CPU' || !(has(self.resourceName) || has(self.claims) || has(self.memory))",
            (
                "accelerator.resourceName, claims and memory belong to a device: remove them, or set accelerator.type "
                "to the kind of device"
            ),
        ),
        (
            (
                f"!has(self.resourceName) || (self.resourceName.matches('{_RESOURCE_NAME}') && "
                "!self.resourceName.contains('kubernetes.io/'))"
            ),
            "accelerator.resourceName must be an extended resource such as nvidia.com/mig-1g.10gb",
        ),
        (
            "!has(self.resourceName) || !self.resourceName.contains('/mig-') || !has(self.count) || self.count == 1",
            (
                "accelerator.count must be 1 for a MIG slice: a process sees only one of them; "
                "name a larger slice instead"
            ),
        ),
        (
            (
                f"!has(self.memory) || (string(self.memory).matches('{_MEMORY}') && "
                "string(self.memory).matches('[1-9]'))"
            ),
            "accelerator.memory must be an amount of memory such as 24Gi",
        ),
    )
    type: AcceleratorType = Field(AcceleratorType.NVIDIA_GPU, description="Kind of accelerator.")
    count: schema.Optional[schema.conint(ge=1, le=64)] = Field(
        None,
        description="Accelerators per pod (default 1). More than one shards the model over them; not where "
        "resourceName ends with .shared: parts of a time-sliced GPU are one GPU. A MIG slice is taken alone.",
    )
    resource_name: schema.Optional[Annotated[str, Field(min_length=3, max_length=317)]] = Field(
        None,
        description="Extended resource to ask for, such as a MIG slice (nvidia.com/mig-1g.10gb) or a time-sliced GPU "
        "(nvidia.com/gpu.shared). Default: that of the type.",
    )
    claims: Annotated[list[DeviceClaim], Field(max_length=16, json_schema_extra=LIST_BY_NAME)] = Field(
        default_factory=list,
        description="Claims of dynamic resource allocation. With them no extended resource is asked for, unless "
        "resourceName names one; count then says over how many of the claimed devices the model is sharded.",
    )
    memory: schema.Optional[schema.IntOrString] = Field(
        None,
        description="Memory of one accelerator (or slice of one), such as 24Gi. With it a model that does not fit is "
        "refused before a pod takes the accelerator, and vLLM's share of it follows from what the model needs.",
    )


class Resources(schema.BaseModel):
    """Requests and limits of the engine container, as in a Pod. Devices are added from spec.accelerator."""

    model_config = strict()
    requests: dict[str, schema.IntOrString] = Field(default_factory=dict, description="What the scheduler reserves.")
    limits: dict[str, schema.IntOrString] = Field(default_factory=dict, description="What the pod may use at most.")


class Scheduling(schema.BaseModel):
    """Where pods may run; each field as in a Pod."""

    model_config = strict()
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: list[Free] = Field(default_factory=list, description="Taints that pods tolerate.")
    affinity: schema.Optional[Free] = Field(None, description="Affinity rules.")
    topology_spread_constraints: list[Free] = Field(default_factory=list, description="How pods spread.")
    priority_class_name: schema.Optional[Name] = Field(None, description="Priority class.")
    runtime_class_name: schema.Optional[Name] = Field(None, description="Runtime class, such as nvidia.")


class PodTemplate(schema.BaseModel):
    """Anything else of a pod, merged into ours: maps by key, lists of named items by name."""

    model_config = strict()
    metadata: schema.Optional[Free] = Field(None, description="Labels and annotations of the pods.")
    spec: schema.Optional[Free] = Field(None, description="Fields of a PodSpec. The engine's container is `vllm`.")
