"""`spec.accelerator`, `resources`, `scheduling` and `podTemplate`: where model pods run."""

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.fields import Free, Name, Words, strict


class AcceleratorType(Words):
    """What computes."""

    NVIDIA_GPU = "NvidiaGPU"
    CPU = "CPU"


class Accelerator(schema.BaseModel):
    """What the model runs on."""

    model_config = strict(
        (
            "self.type != 'CPU' || !has(self.count)",
            "accelerator.count counts GPUs: remove it, or set accelerator.type to NvidiaGPU",
        ),
        (
            "!has(self.memory) || string(self.memory).matches('^[0-9]+([.][0-9]+)?[kKMGT]?i?$')",
            "accelerator.memory must be an amount of memory such as 24Gi",
        ),
    )
    type: AcceleratorType = Field(AcceleratorType.NVIDIA_GPU, description="Kind of accelerator.")
    count: schema.Optional[schema.conint(ge=1, le=64)] = Field(
        None, description="GPUs per pod (default 1); more than one shards the model over them."
    )
    memory: schema.Optional[schema.IntOrString] = Field(
        None,
        description="Memory of one accelerator (or slice of one), such as 24Gi. With it a model that does not fit is "
        "refused before a pod takes the accelerator, and vLLM's share of it follows from what the model needs.",
    )


class Resources(schema.BaseModel):
    """Requests and limits of the engine container, as in a Pod. GPUs are added from spec.accelerator."""

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
