"""`spec.rollout` and `spec.autoscaling`: how a change is brought up, and how many pods there are."""

from typing import Annotated

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.fields import Free, Words, strict


class Strategy(Words):
    """What happens to the old pods while new ones start."""

    AUTO = "Auto"
    BLUE_GREEN = "BlueGreen"
    RECREATE = "Recreate"


class Rollout(schema.BaseModel):
    """How a change is brought up."""

    model_config = strict()
    strategy: Strategy = Field(
        Strategy.AUTO,
        description="BlueGreen: the new pods start beside the old ones, which serve until the new ones rank right. "
        "Recreate: the old pods go first, and come back if the new ones fail. Auto: BlueGreen, and Recreate where "
        "the scheduler finds no accelerator for the new pods.",
    )
    recreate_after_seconds: schema.conint(ge=0, le=86400) = Field(
        30, description="With Auto, how long the scheduler must find no accelerator before the old pods go."
    )
    startup_timeout_seconds: schema.conint(ge=30, le=86400) = Field(
        3600,
        description="Time that a pod has from its start until it answers. Nothing ends a pod that loads before that.",
    )
    revision_history_limit: schema.conint(ge=0, le=20) = Field(
        2, description="Old revisions to keep, for a way back to exactly what ran."
    )


class WaitingRequests(schema.BaseModel):
    """Scale on the requests that wait inside vLLM, with KEDA."""

    model_config = strict(
        (
            "self.prometheusAddress.matches('^https?://[^/ ]+')",
            "autoscaling.waitingRequests.prometheusAddress must be a URL such as http://prometheus.monitoring.svc:9090",
        )
    )
    prometheus_address: Annotated[str, Field(max_length=2048)] = Field(
        description="Address of the Prometheus that scrapes the model pods."
    )
    per_pod: schema.conint(ge=1, le=100000) = Field(
        256, description="What may wait in one pod. vLLM counts pairs: a search with 100 candidates is 100."
    )


class Autoscaling(schema.BaseModel):
    """Let the number of pods follow the load."""

    model_config = strict(
        (
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
            "autoscaling.minReplicas must not be larger than autoscaling.maxReplicas",
        ),
        (
            "(has(self.metrics) && size(self.metrics) > 0) != has(self.waitingRequests)",
            "autoscaling takes metrics (HorizontalPodAutoscaler) or waitingRequests (KEDA): give exactly one of them",
        ),
    )
    min_replicas: schema.conint(ge=1, le=1000) = Field(1, description="Fewest pods.")
    max_replicas: schema.conint(ge=1, le=1000) = Field(description="Most pods.")
    metrics: Annotated[list[Free], Field(max_length=16)] = Field(
        default_factory=list, description="Metrics of a HorizontalPodAutoscaler (autoscaling/v2), as written there."
    )
    waiting_requests: schema.Optional[WaitingRequests] = Field(
        None, description="Scale on vLLM's waiting requests; needs KEDA and a Prometheus."
    )
