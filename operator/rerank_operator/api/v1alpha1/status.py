"""`status`: what the operator sees."""

from typing import Annotated

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.conditions import WHERE_IT_APPLIES, ConditionType
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1.fields import Words


class ConditionStatus(Words):
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


class ScoreScale(Words):
    """What the scores of a model look like."""

    ZERO_TO_ONE = "ZeroToOne"
    UNBOUNDED = "Unbounded"


class OverlongDocuments(Words):
    """What the engine does with a document longer than the model's limit, asked as Milvus would ask."""

    TRUNCATED = "Truncated"
    REJECTED = "Rejected"
    NOT_ANSWERED = "NotAnswered"


class VerifiedPod(schema.BaseModel):
    """What one model pod answered last."""

    name: str = Field(description="Name of the pod, or the external endpoint.")
    reason: str = Field(description="RerankVerified, or what is wrong.")
    latency_milliseconds: schema.Optional[int] = Field(
        None, description="Time of one small request; written again only when it is eight times as long or as short."
    )
    last_transition_time: str = Field(
        description="When the reason last changed.", json_schema_extra={"format": "date-time"}
    )


class VerificationStatus(schema.BaseModel):
    """What was measured of the model pods."""

    score_scale: schema.Optional[ScoreScale] = Field(
        None, description="ZeroToOne, or Unbounded: a fixed threshold then means nothing."
    )
    lowest_score: schema.Optional[str] = Field(None, description="Lowest score of the questions, two digits.")
    highest_score: schema.Optional[str] = Field(None, description="Highest score of the questions, two digits.")
    overlong_documents: schema.Optional[OverlongDocuments] = Field(
        None,
        description="Truncated; Rejected: one such document fails a whole search; NotAnswered: not within the timeout.",
    )
    pods: list[VerifiedPod] = Field(
        default_factory=list, description="Pods that were asked, wrong ones first; at most 20."
    )


class LoadingStep(Words):
    """What a model pod does before it answers."""

    SCHEDULING = "Scheduling"
    PULLING_IMAGE = "PullingImage"
    STARTING = "Starting"
    DOWNLOADING_MODEL = "DownloadingModel"
    LOADING_MODEL = "LoadingModel"
    WARMING_UP = "WarmingUp"
    VERIFYING = "Verifying"


class ProgressStatus(schema.BaseModel):
    """How far the slowest model pod is on its way."""

    step: LoadingStep = Field(description="What it does now.")
    detail: schema.Optional[str] = Field(None, description="How much of it is done, where that is known.")
    since: str = Field(description="Since when.", json_schema_extra={"format": "date-time"})


class MilvusStatus(schema.BaseModel):
    """What was found out about Milvus."""

    version: str = Field(description="Its version, as it says it.")


class BindingStatus(schema.BaseModel):
    """The Secret in the form of Service Binding."""

    name: str = Field(description="Name of the Secret.")


class RerankServiceStatus(schema.BaseModel):
    """What the operator sees."""

    observed_generation: schema.Optional[int] = Field(None, description="Generation that this status describes.")
    conditions: Annotated[
        list[StatusCondition],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = Field(
        default_factory=list,
        description="Accepted, EngineAvailable, RerankVerified, ConfigPublished, Ready; Progressing and Stalled; where "
        "they apply AutoscalerActive, MilvusVerified and CopiesPublished.",
    )
    replicas: schema.Optional[int] = Field(None, description="Model pods that exist.")
    ready_replicas: schema.Optional[int] = Field(None, description="Model pods that are ready.")
    selector: schema.Optional[str] = Field(None, description="Label selector of the model pods (for autoscalers).")
    active_revision: schema.Optional[str] = Field(None, description="Revision that the Service routes to.")
    candidate_revision: schema.Optional[str] = Field(None, description="Revision that is being brought up.")
    progress: schema.Optional[ProgressStatus] = Field(None, description="What is going on while a model comes up.")
    verification: schema.Optional[VerificationStatus] = Field(None, description="What was measured of the model pods.")
    endpoint: schema.Optional[str] = Field(None, description="Address for Milvus.")
    config_map_name: schema.Optional[str] = Field(None, description="The published ConfigMap.")
    binding: schema.Optional[BindingStatus] = Field(None, description="The Secret for Service Binding.")
    copies: list[str] = Field(default_factory=list, description="Namespaces that hold a copy of the ConfigMap.")
    milvus: schema.Optional[MilvusStatus] = Field(None, description="What was found out about Milvus.")


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
        if kind not in WHERE_IT_APPLIES
    ]
