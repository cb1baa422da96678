"""Settings of the operator process, read once from the environment."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rerank_operator.api.v1alpha1 import AcceleratorType
from rerank_operator.catalog.accelerators import platform, platforms

PREFIX: Final = "RERANK_OPERATOR_"


class SettingsError(ValueError):
    """A setting cannot be used; the message names the variable, the value and the remedy."""


class Settings(BaseModel):
    """What the chart (or whoever starts the process) decides. Each field is `RERANK_OPERATOR_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Namespaces to watch, separated by commas; empty for the whole cluster.
    watch_namespaces: str = ""
    #: vLLM image for NVIDIA GPUs where a resource names none.
    engine_image: Annotated[str, Field(min_length=1)] = platform(AcceleratorType.NVIDIA_GPU).image
    #: vLLM image for AMD GPUs where a resource names none.
    amd_engine_image: Annotated[str, Field(min_length=1)] = platform(AcceleratorType.AMD_GPU).image
    #: vLLM image for Intel GPUs where a resource names none.
    intel_engine_image: Annotated[str, Field(min_length=1)] = platform(AcceleratorType.INTEL_GPU).image
    #: vLLM image for Gaudi where a resource names none; empty: each resource has to name one.
    gaudi_engine_image: str = platform(AcceleratorType.GAUDI).image
    #: vLLM image for TPUs where a resource names none; empty: each resource has to name one.
    tpu_engine_image: str = platform(AcceleratorType.TPU).image
    #: vLLM image for CPUs where a resource names none.
    cpu_engine_image: Annotated[str, Field(min_length=1)] = platform(AcceleratorType.CPU).image
    #: Reconciles that run at once.
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    #: Verifications that run at once.
    verifications: Annotated[int, Field(ge=1, le=256)] = 16
    #: Checks in a Milvus that run at once, each in a process of its own.
    milvus_checks: Annotated[int, Field(ge=1, le=16)] = 2
    #: Hosts that a resource may make the operator call (external.endpoint, publish.endpoint, milvus.connection.uri),
    #: separated by commas; `*.` at the start stands for any number of names. Services of its namespace always may.
    allowed_hosts: str = ""
    #: Seconds between two complete look-ups of everything we manage; repairs whatever a lost event left behind.
    resync_seconds: Annotated[float, Field(ge=1)] = 600
    #: Port of /healthz and /metrics.
    health_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    #: Log level.
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    #: json for clusters, text for terminals.
    log_format: Annotated[str, Field(pattern="^(json|text)$")] = "json"

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Namespaces to watch; empty for all."""
        return tuple(sorted({n.strip() for n in self.watch_namespaces.split(",") if n.strip()}))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that resources of any namespace may name."""
        return tuple(sorted({host.strip().lower() for host in self.allowed_hosts.split(",") if host.strip()}))

    @property
    def engine_images(self) -> Mapping[AcceleratorType, str]:
        """Image for each kind of accelerator; empty where there is none."""
        return {kind: getattr(self, known.image_setting) for kind, known in platforms().items()}

    @classmethod
    def from_env(cls, environ: dict[str, str]) -> Self:
        """Read the settings; raise SettingsError that names the variable."""
        given: dict[str, Any] = {
            key.removeprefix(PREFIX).lower(): value
            for key, value in environ.items()
            if key.startswith(PREFIX) and key.removeprefix(PREFIX).lower() in cls.model_fields
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0])
            raise SettingsError(
                f"{PREFIX}{field.upper()}={given.get(field)!r} cannot be used: {first['msg']}"
            ) from error
