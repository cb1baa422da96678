"""The RerankService resource, v1alpha1: the single source of the CRD and of what the code reads.

`spec: {model: {name: X}}` is enough; everything else has a default. Rules that the API server can check are
CEL rules here, so that a wrong value is refused at `kubectl apply` with the remedy in the message.
"""

from rerank_operator.api.v1alpha1.addresses import Route, ServiceType
from rerank_operator.api.v1alpha1.engine import Dtype, Guard
from rerank_operator.api.v1alpha1.milvus import MilvusCheck, MilvusConnection
from rerank_operator.api.v1alpha1.model import ModelCache
from rerank_operator.api.v1alpha1.pods import AcceleratorType, Scheduling
from rerank_operator.api.v1alpha1.resource import RerankService, RerankServiceSpec
from rerank_operator.api.v1alpha1.rollout import Autoscaling, Strategy
from rerank_operator.api.v1alpha1.status import (
    LoadingStep,
    OverlongDocuments,
    RerankServiceStatus,
    ScoreScale,
    initial_conditions,
)
from rerank_operator.api.v1alpha1.verification import Language, OnFailure, Verification, VerificationMode

__all__ = [
    "AcceleratorType",
    "Autoscaling",
    "Dtype",
    "Guard",
    "Language",
    "LoadingStep",
    "MilvusCheck",
    "MilvusConnection",
    "ModelCache",
    "OnFailure",
    "OverlongDocuments",
    "RerankService",
    "RerankServiceSpec",
    "RerankServiceStatus",
    "Route",
    "Scheduling",
    "ScoreScale",
    "ServiceType",
    "Strategy",
    "Verification",
    "VerificationMode",
    "initial_conditions",
]
