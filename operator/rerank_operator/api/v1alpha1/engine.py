"""`spec.engine`: the vLLM server."""

from typing import Annotated, Final

from kube_custom_resource import schema
from pydantic import ConfigDict, Field

from rerank_operator.api.v1alpha1.fields import LIST_BY_NAME, Free, LocalRef, Name, Text, Words, strict
from rerank_operator.api.v1alpha1.network import CaBundle, Proxy
from rerank_operator.api.v1alpha1.volumes import Volume, VolumeMount

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


class EnvVar(schema.BaseModel):
    """An environment variable of the engine container, as in a Pod."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Name = Field(description="Name of the variable.")
    value: schema.Optional[Text] = Field(None, description="Its value.")
    value_from: schema.Optional[Free] = Field(None, description="Its source, as in a Pod (secretKeyRef and such).")


class Dtype(Words):
    """Number format of the weights."""

    AUTO = "auto"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Guard(Words):
    """Whether the guard middleware runs inside the engine."""

    # Not On and Off: YAML 1.1 reads those as booleans, and the API server would refuse them.
    ENABLED = "Enabled"
    DISABLED = "Disabled"


class PullPolicy(Words):
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

    model_config = strict(
        *_reserved_argument_rules(),
        (
            "!has(self.env) || self.env.all(e, !e.name.startsWith('RERANK_GUARD_'))",
            "engine.env must not set RERANK_GUARD_ variables: the guard's come from spec.engine and spec.access",
        ),
        (
            (
                "!has(self.guard) || self.guard == 'Enabled' || (!has(self.maxDocuments) && "
                "(!has(self.returnDocuments) || self.returnDocuments))"
            ),
            "engine.maxDocuments and engine.returnDocuments need engine.guard Enabled: the guard does what they say",
        ),
    )
    image: schema.Optional[Annotated[str, Field(min_length=1, max_length=1024)]] = Field(
        None, description="vLLM image. Default: the operator's setting for the accelerator type."
    )
    image_pull_policy: schema.Optional[PullPolicy] = Field(None, description="When to pull the image.")
    image_pull_secrets: Annotated[list[LocalRef], Field(max_length=16, json_schema_extra=LIST_BY_NAME)] = Field(
        default_factory=list, description="Secrets with registry credentials."
    )
    args: Annotated[list[Text], Field(max_length=64)] = Field(
        default_factory=list, description="Further arguments of `vllm serve`."
    )
    env: Annotated[list[EnvVar], Field(max_length=64, json_schema_extra=LIST_BY_NAME)] = Field(
        default_factory=list, description="Further environment variables."
    )
    env_from: Annotated[list[Free], Field(max_length=16)] = Field(
        default_factory=list,
        description="ConfigMaps and Secrets whose keys become environment variables. A change in one of them reaches "
        "pods that start after it.",
    )
    volumes: Annotated[list[Volume], Field(max_length=32, json_schema_extra=LIST_BY_NAME)] = Field(
        default_factory=list, description="Further volumes of the pods."
    )
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=32)] = Field(
        default_factory=list, description="Where they are in the engine container."
    )
    service_account_name: schema.Optional[Name] = Field(
        None, description="Service account of the pods. Its token is not mounted, unless spec.podTemplate says so."
    )
    proxy: schema.Optional[Proxy] = Field(None, description="Proxy between the pods and the hub.")
    ca_bundle: schema.Optional[CaBundle] = Field(
        None, description="Certificates that the pods trust instead of those in the image, such as a private CA's."
    )
    dtype: schema.Optional[Dtype] = Field(
        None, description="Number format. Default: auto on a GPU, float32 on a CPU (many CPUs emulate bfloat16)."
    )
    guard: Guard = Field(
        Guard.ENABLED,
        description="Enabled: a middleware in vLLM answers /ready with a real forward pass and drains on shutdown. "
        "Disabled: an exec probe and a pause instead, for images whose vLLM cannot load a middleware.",
    )
    max_documents: schema.Optional[schema.conint(ge=1, le=1000000)] = Field(
        None, description="Documents that one request may hold; a larger one is refused with 413. Default: 4096."
    )
    return_documents: bool = Field(
        True, description="Whether answers repeat the documents. Milvus does not read them: false makes answers small."
    )
