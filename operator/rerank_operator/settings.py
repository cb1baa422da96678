"""Settings of the operator process, read once from the environment."""

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX: Final = "RERANK_OPERATOR_"


class SettingsError(ValueError):
    """A setting cannot be used; the message names the variable, the value and the remedy."""


class Settings(BaseModel):
    """What the chart (or whoever starts the process) decides. Each field is `RERANK_OPERATOR_<FIELD>`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Namespaces to watch, separated by commas; empty for the whole cluster.
    watch_namespaces: str = ""
    #: vLLM image for GPUs where a resource names none.
    engine_image: Annotated[str, Field(min_length=1)] = "vllm/vllm-openai:v0.32.0"
    #: vLLM image for CPUs where a resource names none.
    cpu_engine_image: Annotated[str, Field(min_length=1)] = "vllm/vllm-openai-cpu:v0.32.0-x86_64"
    #: Reconciles that run at once.
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    #: Verifications that run at once.
    verifications: Annotated[int, Field(ge=1, le=256)] = 16
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
