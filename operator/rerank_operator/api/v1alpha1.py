"""The RerankService resource, v1alpha1: the single source of the CRD and of what the code reads.

`spec: {model: {name: X}}` is enough; everything else has a default. Rules that the API server can check are
CEL rules here, so that a wrong value is refused at `kubectl apply` with the remedy in the message.
"""

from typing import Annotated, Any, Final

from kube_custom_resource import CustomResource, schema
from pydantic import ConfigDict, Field

from rerank_operator.api import names
from rerank_operator.api.conditions import MEANINGS, ConditionType, Reason


def _rules(*rules: tuple[str, str]) -> dict[str, Any]:
    """CEL rules of one object as (rule, message) pairs."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


def _strict(*rules: tuple[str, str]) -> ConfigDict:
    """A model that names unknown fields instead of dropping them, with its CEL rules."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra=_rules(*rules) if rules else None)


_LIST_BY_NAME: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
Name = Annotated[str, Field(min_length=1, max_length=253)]
Text = Annotated[str, Field(max_length=4096)]
Free = schema.Dict[str, schema.Any]

# Flags that the operator sets itself, because a promise depends on each; and what to do instead.
RESERVED_ARGUMENTS: Final = {
    "--model": "use spec.model.name instead",
    "--served-model-name": "use spec.model.name instead",
    "--revision": "use spec.model.revision instead",
    "--max-model-len": "use spec.model.maxLength instead",
    "--trust-remote-code": "use spec.model.trustRemoteCode instead",
    "--dtype": "use spec.engine.dtype instead",
    "--host": "remove it: pods listen on all addresses",
    "--port": "use spec.service.port instead",
    "--middleware": "use spec.engine.guard instead",
    "--tensor-parallel-size": "use spec.accelerator.count instead",
    "--api-key": "remove it: it leaves /rerank open and breaks Milvus 2.6.0",
}
_SHORT_FLAGS: Final = {"--tensor-parallel-size": "-tp"}


class SecretKeyRef(schema.BaseModel):
    """One key of a Secret in the namespace of the resource."""

    model_config = _strict()
    name: Name = Field(description="Name of the Secret.")
    key: Name = Field("token", description="Key in the Secret.")


class LocalRef(schema.BaseModel):
    """A reference by name within the namespace."""

    model_config = _strict()
    name: Name = Field(description="Name of the object.")


class HuggingFaceSource(schema.BaseModel):
    """Download from a Hugging Face hub."""

    model_config = _strict(
        (
            "!has(self.endpoint) || self.endpoint.matches('^https?://[^/ ]+')",
            "model.source.huggingFace.endpoint must be a URL such as https://hub.example.com",
        )
    )
    token_secret_ref: schema.Optional[SecretKeyRef] = Field(
        None, description="Token for gated or private models. Only a reference: the operator never reads it."
    )
    endpoint: schema.Optional[Annotated[str, Field(max_length=2048)]] = Field(
        None, description="Address of a mirror of the hub (HF_ENDPOINT)."
    )


class VolumeSource(schema.BaseModel):
    """Serve a model folder that already lies on a volume; nothing is downloaded."""

    model_config = _strict(
        (
            "!self.path.startsWith('/') && !self.path.matches('(^|/)[.][.](/|$)')",
            (
                "model.source.volume.path is relative to the root of the volume: "
                "remove the leading / and any .. (example: models/bge-reranker-v2-m3)"
            ),
        )
    )
    claim_name: Name = Field(description="Name of the PersistentVolumeClaim; it is mounted read-only.")
    path: Annotated[str, Field(max_length=1024)] = Field(
        "", description="Model folder, relative to the root of the volume."
    )


class ModelSource(schema.BaseModel):
    """Where the model comes from: a hub (the default) or a volume."""

    model_config = _strict(
        (
            "!(has(self.huggingFace) && has(self.volume))",
            "model.source takes huggingFace or volume, not both: remove one of them",
        )
    )
    hugging_face: schema.Optional[HuggingFaceSource] = Field(None, description="Download from a hub.")
    volume: schema.Optional[VolumeSource] = Field(None, description="A folder on an existing volume claim.")


class Model(schema.BaseModel):
    """The model to serve."""

    model_config = _strict(
        (
            "self.name.matches('^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$')",
            (
                "model.name must be a Hugging Face id such as BAAI/bge-reranker-v2-m3, or one word for a model on a "
                "volume (the folder goes into model.source.volume.path)"
            ),
        ),
        (
            "!(has(self.revision) && has(self.source) && has(self.source.volume))",
            "model.revision names a commit of a hub and a volume has none: remove one of them",
        ),
    )
    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Hugging Face id of the model. It is also the name under which /v1/rerank knows the model."
    )
    revision: schema.Optional[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        None, description="Commit, tag or branch of the model. Pin a commit: a branch can change under you."
    )
    max_length: schema.Optional[schema.conint(ge=16, le=1048576)] = Field(
        None, description="Tokens per query and document pair (--max-model-len). Default: what the model allows."
    )
    source: schema.Optional[ModelSource] = Field(None, description="Where the model comes from. Default: the hub.")
    trust_remote_code: bool = Field(
        False, description="Run Python code from the model repository. Read that code first, and pin model.revision."
    )


class EnvVar(schema.BaseModel):
    """An environment variable of the engine container, as in a Pod."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name = Field(description="Name of the variable.")
    value: schema.Optional[Text] = Field(None, description="Its value.")
    value_from: schema.Optional[Free] = Field(None, description="Its source, as in a Pod (secretKeyRef and such).")


class Dtype(str, schema.Enum):
    """Number format of the weights."""

    AUTO = "auto"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Guard(str, schema.Enum):
    """Whether the guard middleware runs inside the engine."""

    # Not On and Off: YAML 1.1 reads those as booleans, and the API server would refuse them.
    ENABLED = "Enabled"
    DISABLED = "Disabled"


class PullPolicy(str, schema.Enum):
    """When the kubelet pulls the image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


def _reserved_argument_rules() -> list[tuple[str, str]]:
    return [
        (
            f"!has(self.args) || self.args.all(a, !a.matches('{_flag_pattern(flag)}'))",
            f"engine.args must not hold {flag}; {remedy}",
        )
        for flag, remedy in RESERVED_ARGUMENTS.items()
    ]


def _flag_pattern(flag: str) -> str:
    """Every way to write a flag: vLLM takes underscores for dashes, a value after =, and some short forms."""
    spelled = "--" + flag.removeprefix("--").replace("-", "[-_]")
    if short := _SHORT_FLAGS.get(flag):
        spelled = f"({spelled}|{short})"
    return f"^{spelled}(=|$)"


class Engine(schema.BaseModel):
    """The vLLM server."""

    model_config = _strict(*_reserved_argument_rules())
    image: schema.Optional[Annotated[str, Field(min_length=1, max_length=1024)]] = Field(
        None, description="vLLM image. Default: the operator's setting for the accelerator type."
    )
    image_pull_policy: schema.Optional[PullPolicy] = Field(None, description="When to pull the image.")
    image_pull_secrets: Annotated[list[LocalRef], Field(max_length=16, json_schema_extra=_LIST_BY_NAME)] = Field(
        default_factory=list, description="Secrets with registry credentials."
    )
    args: Annotated[list[Text], Field(max_length=64)] = Field(
        default_factory=list, description="Further arguments of `vllm serve`."
    )
    env: Annotated[list[EnvVar], Field(max_length=64, json_schema_extra=_LIST_BY_NAME)] = Field(
        default_factory=list, description="Further environment variables."
    )
    dtype: schema.Optional[Dtype] = Field(
        None, description="Number format. Default: auto on a GPU, float32 on a CPU (many CPUs emulate bfloat16)."
    )
    guard: Guard = Field(
        Guard.ENABLED,
        description="Enabled: a middleware in vLLM answers /ready with a real forward pass and drains on shutdown. "
        "Disabled: an exec probe and a pause instead, for images whose vLLM cannot load a middleware.",
    )


class AcceleratorType(str, schema.Enum):
    """What computes."""

    NVIDIA_GPU = "NvidiaGPU"
    CPU = "CPU"


class Accelerator(schema.BaseModel):
    """What the model runs on."""

    model_config = _strict(
        (
            "self.type != 'CPU' || !has(self.count)",
            "accelerator.count counts GPUs: remove it, or set accelerator.type to NvidiaGPU",
        )
    )
    type: AcceleratorType = Field(AcceleratorType.NVIDIA_GPU, description="Kind of accelerator.")
    count: schema.Optional[schema.conint(ge=1, le=64)] = Field(
        None, description="GPUs per pod (default 1); more than one shards the model over them."
    )


class Resources(schema.BaseModel):
    """Requests and limits of the engine container, as in a Pod. GPUs are added from spec.accelerator."""

    model_config = _strict()
    requests: dict[str, schema.IntOrString] = Field(default_factory=dict, description="What the scheduler reserves.")
    limits: dict[str, schema.IntOrString] = Field(default_factory=dict, description="What the pod may use at most.")


class Scheduling(schema.BaseModel):
    """Where pods may run; each field as in a Pod."""

    model_config = _strict()
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: list[Free] = Field(default_factory=list, description="Taints that pods tolerate.")
    affinity: schema.Optional[Free] = Field(None, description="Affinity rules.")
    topology_spread_constraints: list[Free] = Field(default_factory=list, description="How pods spread.")
    priority_class_name: schema.Optional[Name] = Field(None, description="Priority class.")
    runtime_class_name: schema.Optional[Name] = Field(None, description="Runtime class, such as nvidia.")


class PodTemplate(schema.BaseModel):
    """Anything else of a pod, merged into ours: maps by key, lists of named items by name."""

    model_config = _strict()
    metadata: schema.Optional[Free] = Field(None, description="Labels and annotations of the pods.")
    spec: schema.Optional[Free] = Field(None, description="Fields of a PodSpec. The engine's container is `vllm`.")


class ServiceSpec(schema.BaseModel):
    """The Service in front of the model pods."""

    model_config = _strict()
    port: schema.conint(ge=1, le=65535) = Field(
        names.ENGINE_PORT, description="Port of the Service, part of the published endpoint."
    )


class Milvus(schema.BaseModel):
    """What goes into the published Milvus function params."""

    model_config = _strict(
        (
            "!has(self.maxClientBatchSize) || self.maxClientBatchSize >= 1",
            "milvus.maxClientBatchSize must be at least 1: with 0, Milvus 2.6.1 sends empty requests for ever",
        ),
        (
            "!has(self.truncatePromptTokens) || self.truncatePromptTokens == -1 || self.truncatePromptTokens >= 1",
            "milvus.truncatePromptTokens must be -1 (cut at the model's limit) or a number of tokens from 1 up",
        ),
    )
    input_field: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        "text", description="VARCHAR field of the collection that holds the text to rerank."
    )
    function_name: schema.Optional[Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        None, description="Name of the Milvus function. Default: the name of this resource."
    )
    max_client_batch_size: schema.conint(le=4096) = Field(
        256, description="Documents per request. A search with no more candidates than this is one request."
    )
    truncate_prompt_tokens: schema.Optional[schema.conint(le=1048576)] = Field(
        None,
        description="Tokens to which a query and document pair is cut. Default: -1 (the model's limit), and nothing "
        "for models with a prompt template, because cutting their prompt makes every score worthless.",
    )


class Publish(schema.BaseModel):
    """The ConfigMap that applications read."""

    model_config = _strict(
        (
            "!has(self.configMapName) || self.configMapName.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
            "publish.configMapName must be lower-case letters, digits, dashes and dots, such as bge-milvus",
        )
    )
    config_map_name: schema.Optional[Name] = Field(None, description="Its name. Default: <name>-milvus.")


class RerankServiceSpec(schema.BaseModel):
    """What the user wants."""

    model_config = _strict(
        (
            (
                "!has(self.milvus) || !has(self.milvus.truncatePromptTokens) || !has(self.model.maxLength) || "
                "self.milvus.truncatePromptTokens <= self.model.maxLength"
            ),
            "milvus.truncatePromptTokens must not be larger than model.maxLength: vLLM refuses such requests; use -1",
        ),
    )
    model: Model = Field(description="The model to serve.")
    engine: Engine = Field(default_factory=Engine, description="The vLLM server.")
    accelerator: Accelerator = Field(default_factory=Accelerator, description="What the model runs on.")
    replicas: schema.conint(ge=0, le=1000) = Field(1, description="Number of model pods.")
    resources: Resources = Field(default_factory=Resources, description="Requests and limits of the engine.")
    scheduling: Scheduling = Field(default_factory=Scheduling, description="Where pods may run.")
    pod_template: schema.Optional[PodTemplate] = Field(None, description="Anything else of a pod.")
    service: ServiceSpec = Field(default_factory=ServiceSpec, description="The Service in front of the pods.")
    milvus: Milvus = Field(default_factory=Milvus, description="What is published for Milvus.")
    publish: Publish = Field(default_factory=Publish, description="The ConfigMap that applications read.")
    suspend: bool = Field(False, description="Stop all model pods and keep the publication.")


class ConditionStatus(str, schema.Enum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class StatusCondition(schema.BaseModel):
    """A condition as in metav1.Condition."""

    type: Annotated[str, Field(max_length=316)] = Field(description="Type of the condition.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="One word; part of the API.")
    message: Annotated[str, Field(max_length=32768)] = Field(description="What was seen, and the remedy.")
    observed_generation: schema.Optional[int] = Field(None, description="Generation that this refers to.")
    last_transition_time: str = Field(
        description="When the status last changed.", json_schema_extra={"format": "date-time"}
    )


class RerankServiceStatus(schema.BaseModel):
    """What the operator sees."""

    observed_generation: schema.Optional[int] = Field(None, description="Generation that this status describes.")
    conditions: Annotated[
        list[StatusCondition],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = Field(default_factory=list, description="Accepted, EngineAvailable, RerankVerified, ConfigPublished, Ready.")
    replicas: schema.Optional[int] = Field(None, description="Model pods that exist.")
    ready_replicas: schema.Optional[int] = Field(None, description="Model pods that are ready.")
    selector: schema.Optional[str] = Field(None, description="Label selector of the model pods (for autoscalers).")
    active_revision: schema.Optional[str] = Field(None, description="Revision that the Service routes to.")
    candidate_revision: schema.Optional[str] = Field(None, description="Revision that is being brought up.")
    endpoint: schema.Optional[str] = Field(None, description="Address for Milvus.")
    config_map_name: schema.Optional[str] = Field(None, description="The published ConfigMap.")


class RerankService(
    CustomResource,
    kind=names.KIND,
    plural_name=names.PLURAL,
    short_names=["rrs"],
    subresources={
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    },
    printer_columns=[
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Reason", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].reason'},
        {"name": "Model", "type": "string", "jsonPath": ".spec.model.name"},
        {"name": "Endpoint", "type": "string", "jsonPath": ".status.endpoint"},
        {"name": "Config", "type": "string", "jsonPath": ".status.configMapName"},
    ],
):
    """A vLLM reranker that is verified the way Milvus calls it, and its published Milvus params."""

    model_config = ConfigDict(
        json_schema_extra=_rules(
            (
                (
                    f"size(self.metadata.name) <= {names.MAX_NAME_LENGTH} && "
                    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
                ),
                (
                    f"metadata.name becomes a Service name: at most {names.MAX_NAME_LENGTH} lower-case letters, digits "
                    "and dashes, starting with a letter"
                ),
            )
        )
    )
    spec: RerankServiceSpec = Field(description="What the user wants.")
    status: schema.Optional[RerankServiceStatus] = Field(None, description="What the operator sees.")


def initial_conditions() -> list[dict[str, str]]:
    """Conditions before the operator has looked: the CRD defaults them, so `kubectl get` never shows a blank."""
    return [
        {
            "type": kind.value,
            "status": "Unknown",
            "reason": Reason.PENDING.value,
            "message": f"{MEANINGS[Reason.PENDING].when} {MEANINGS[Reason.PENDING].remedy}",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        }
        for kind in ConditionType
    ]
