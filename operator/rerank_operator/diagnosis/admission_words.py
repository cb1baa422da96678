"""Why the API server refuses a pod, from the message of a Deployment or ReplicaSet that cannot create it."""

from rerank_operator.api.reasons import Reason
from rerank_operator.diagnosis.engine_words import clip


def read_rejection(message: str) -> tuple[Reason, str]:
    """The reason, and what the API server says."""
    seen = f"The API server says: {clip(message)}"
    if "violates PodSecurity" in message:
        return Reason.POD_SECURITY_FORBIDDEN, seen
    if "is being terminated" in message:
        return Reason.NAMESPACE_TERMINATING, seen
    return (Reason.QUOTA_EXCEEDED if "exceeded quota" in message else Reason.POD_REJECTED), seen
