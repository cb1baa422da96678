"""Further volumes of the model pods, and which names and places are the operator's own."""

from typing import Annotated, Final

from kube_custom_resource import schema
from pydantic import ConfigDict, Field

from rerank_operator.api.v1alpha1.fields import Name, rules

# Regular expressions, as the API server reads them too.
RESERVED_VOLUMES: Final = "^(files|run|keys|ca|tmp|home|shm|model.*)$"
# Nothing may lie over these three, but inside them.
_WRITABLE: Final = "^/+(tmp|dev/+shm|home/+vllm)/*$"
# And nothing inside these.
CLOSED_PATHS: Final = "^/+(models|(opt|run|etc)/+rerank-operator)(/.*)?$|(^|/)[.][.](/|$)"
RESERVED_PATHS: Final = f"{_WRITABLE}|{CLOSED_PATHS}"


class Volume(schema.BaseModel):
    """A volume, as in a Pod."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        json_schema_extra=rules(
            (
                f"!self.name.matches('{RESERVED_VOLUMES}')",
                (
                    "engine.volumes must not hold a volume named files, run, keys, ca, tmp, home, shm or model...: "
                    "the operator has volumes of these names; choose another"
                ),
            )
        ),
    )
    name: Name = Field(description="Name of the volume.")


class VolumeMount(schema.BaseModel):
    """Where a volume is in the engine container, as in a Pod."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        json_schema_extra=rules(
            (
                f"!self.mountPath.matches('{RESERVED_PATHS}')",
                (
                    "engine.volumeMounts must not lie over what the operator mounts (/models, /opt/rerank-operator, "
                    "/run/rerank-operator, /etc/rerank-operator, /tmp, /dev/shm, /home/vllm): choose another mountPath"
                ),
            )
        ),
    )
    name: Name = Field(description="Name of the volume.")
    mount_path: Annotated[str, Field(min_length=1, max_length=4096)] = Field(description="Folder in the container.")
