"""`status`: what the operator sees."""

from typing import Annotated

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.conditions import MEANINGS, ConditionType, Reason


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
        if kind is not ConditionType.AUTOSCALER_ACTIVE
    ]
