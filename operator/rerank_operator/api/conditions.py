"""Conditions of a reranker: their types, every reason, and the remedy that goes with it.

`Ready` summarises the others: it is True when the spec as written serves, was verified and is published.
Reasons are part of the API: they keep their names.
"""

import dataclasses
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal

Status = Literal["True", "False", "Unknown"]
MAX_MESSAGE_LENGTH: Final = 1024


class ConditionType(StrEnum):
    """Every condition, in the order in which a reranker passes them; the last one only where it applies."""

    ACCEPTED = "Accepted"
    ENGINE_AVAILABLE = "EngineAvailable"
    RERANK_VERIFIED = "RerankVerified"
    CONFIG_PUBLISHED = "ConfigPublished"
    READY = "Ready"
    AUTOSCALER_ACTIVE = "AutoscalerActive"


class Reason(StrEnum):
    """Why a condition has its status."""

    PENDING = "Pending"
    # Accepted
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    NAME_CONFLICT = "NameConflict"
    # EngineAvailable
    ENGINE_AVAILABLE = "EngineAvailable"
    ENGINE_STARTING = "EngineStarting"
    SUSPENDED = "Suspended"
    FREEING_ACCELERATOR = "FreeingAccelerator"
    WAITING_FOR_NODE = "WaitingForNode"
    STARTUP_TIMEOUT = "StartupTimeout"
    UNSCHEDULABLE = "Unschedulable"
    ACCELERATOR_MISSING = "AcceleratorMissing"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a reason, not a secret
    VOLUME_UNBOUND = "VolumeUnbound"
    MODEL_NOT_FOUND = "ModelNotFound"
    BAD_ENGINE_ARGUMENT = "BadEngineArgument"
    GUARD_FAILED = "GuardFailed"
    CRASH_LOOPING = "CrashLooping"
    POD_SECURITY_FORBIDDEN = "PodSecurityForbidden"
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_REJECTED = "PodRejected"
    # RerankVerified
    RERANK_VERIFIED = "RerankVerified"
    VERIFYING = "Verifying"
    ENDPOINT_UNREACHABLE = "EndpointUnreachable"
    RERANK_ROUTE_MISSING = "RerankRouteMissing"
    UNAUTHORIZED = "Unauthorized"
    KEY_NOT_ENFORCED = "KeyNotEnforced"
    MODEL_NAME_MISMATCH = "ModelNameMismatch"
    ENGINE_ERROR = "EngineError"
    ANSWER_MALFORMED = "AnswerMalformed"
    INCOMPLETE_SCORES = "IncompleteScores"
    NON_FINITE_SCORES = "NonFiniteScores"
    RANKING_WRONG = "RankingWrong"
    SCORES_CONSTANT = "ScoresConstant"
    TOO_SLOW_FOR_MILVUS = "TooSlowForMilvus"
    # ConfigPublished
    CONFIG_PUBLISHED = "ConfigPublished"
    WAITING_FOR_VERIFICATION = "WaitingForVerification"
    # Ready
    READY = "Ready"
    # AutoscalerActive
    AUTOSCALER_ACTIVE = "AutoscalerActive"
    KEDA_MISSING = "KedaMissing"


@dataclasses.dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason says: when it appears, and what a person can do about it (empty when nothing is wrong)."""

    when: str
    remedy: str = ""


_DESCRIBE = "Read the pod's events with kubectl describe pod."

MEANINGS: Final[dict[Reason, Meaning]] = {
    Reason.PENDING: Meaning("No operator has looked at this resource yet.", "Check that rerank-operator is running."),
    Reason.ACCEPTED: Meaning("The spec can be acted on."),
    Reason.INVALID_SPEC: Meaning("The spec holds values that cannot work together.", "Change the named field."),
    Reason.NAME_CONFLICT: Meaning(
        "An object with the name of one of our children exists and belongs to somebody else.",
        "Delete or rename that object, or give this resource (or spec.publish.configMapName) another name.",
    ),
    Reason.ENGINE_AVAILABLE: Meaning("Enough model pods are ready."),
    Reason.ENGINE_STARTING: Meaning("The model pods are starting; loading a model takes minutes."),
    Reason.SUSPENDED: Meaning("spec.suspend is true: no model pod runs, the published ConfigMap stays.", ""),
    Reason.FREEING_ACCELERATOR: Meaning(
        "The old pods go to free their accelerator for the new ones (spec.rollout.strategy). "
        "Nothing serves until the new pods are ready."
    ),
    Reason.WAITING_FOR_NODE: Meaning("An autoscaler is adding a node for the pod."),
    Reason.STARTUP_TIMEOUT: Meaning(
        "A pod did not answer within spec.rollout.startupTimeoutSeconds.",
        "Read its log with kubectl logs; a large model may need a longer spec.rollout.startupTimeoutSeconds.",
    ),
    Reason.UNSCHEDULABLE: Meaning(
        "No node can take the pod.",
        "Free capacity, add a node, or change spec.resources, spec.accelerator or spec.scheduling.",
    ),
    Reason.ACCELERATOR_MISSING: Meaning(
        "No node has a free accelerator of the wanted kind.",
        "Add a GPU node, install the device plugin, free a GPU, or set spec.accelerator.type to CPU. "
        "For a change on the only accelerator: spec.rollout.strategy Auto or Recreate.",
    ),
    Reason.IMAGE_PULL_FAILED: Meaning(
        "The engine's image cannot be pulled.",
        "Check spec.engine.image for a typing error, and spec.engine.imagePullSecrets for a private registry.",
    ),
    Reason.SECRET_MISSING: Meaning(
        "A Secret that the spec names does not exist.",
        "Create the Secret in the namespace of this resource, or correct the reference in the spec "
        "(model.source.huggingFace.tokenSecretRef, access.bearerSecretRef).",
    ),
    Reason.SECRET_KEY_MISSING: Meaning(
        "The Secret exists, the key in it does not.",
        "Add the key to the Secret, or correct the reference in the spec "
        "(model.source.huggingFace.tokenSecretRef, access.bearerSecretRef).",
    ),
    Reason.VOLUME_UNBOUND: Meaning(
        "The volume claim of the model is missing or not bound.",
        "Create the PersistentVolumeClaim, or correct spec.model.source.volume.claimName.",
    ),
    Reason.MODEL_NOT_FOUND: Meaning(
        "vLLM cannot find the model.",
        "Check spec.model.name and spec.model.revision, or spec.model.source.volume.path for a model on a volume.",
    ),
    Reason.BAD_ENGINE_ARGUMENT: Meaning(
        "vLLM refuses an argument.", "Correct spec.engine.args; vLLM's own sentence names the argument."
    ),
    Reason.GUARD_FAILED: Meaning(
        "vLLM could not load the guard.",
        "Use a vLLM from 0.10 to 0.33 (spec.engine.image), or set spec.engine.guard to Disabled.",
    ),
    Reason.CRASH_LOOPING: Meaning(
        "The engine ends again and again.", "Read its last words above, and kubectl logs --previous for the rest."
    ),
    Reason.POD_SECURITY_FORBIDDEN: Meaning(
        "Pod Security admission refuses the pod.",
        "Take the named settings out of spec.podTemplate; without it the pod meets the restricted level.",
    ),
    Reason.QUOTA_EXCEEDED: Meaning(
        "A ResourceQuota of the namespace is used up.", "Raise the quota, or lower spec.replicas or spec.resources."
    ),
    Reason.POD_REJECTED: Meaning("The API server refuses the pod.", "Correct what the message names."),
    Reason.RERANK_VERIFIED: Meaning("The model pods answered Milvus's own request correctly."),
    Reason.VERIFYING: Meaning("The pods are ready and are being asked Milvus's own request."),
    Reason.ENDPOINT_UNREACHABLE: Meaning(
        "The operator cannot reach the pod on its port.",
        "Check NetworkPolicies between the operator's namespace and this one.",
    ),
    Reason.RERANK_ROUTE_MISSING: Meaning(
        "vLLM serves the model, but not as a reranker: its /rerank route answers 404.",
        "Choose a cross-encoder with one label, or give the flags it needs in spec.engine.args (--hf-overrides).",
    ),
    Reason.UNAUTHORIZED: Meaning(
        "The endpoint wants another key than Milvus would send.",
        "Remove --api-key and VLLM_API_KEY from spec.engine: they do not protect /rerank, they only break Milvus. "
        "Keys belong into the Secret of spec.access.bearerSecretRef, which the operator must be allowed to get.",
    ),
    Reason.KEY_NOT_ENFORCED: Meaning(
        "spec.access.bearerSecretRef is set, and the endpoint answers without a key.",
        "Take out of spec.podTemplate and spec.engine.env what replaces the guard's variables, file or volume.",
    ),
    Reason.MODEL_NAME_MISMATCH: Meaning(
        "/v1/rerank does not know the model by spec.model.name.",
        "Remove --served-model-name from spec.engine.args; the operator sets it to spec.model.name.",
    ),
    Reason.ENGINE_ERROR: Meaning(
        "The engine answers a rerank request with an error.", "Read its answer above and kubectl logs of the pod."
    ),
    Reason.ANSWER_MALFORMED: Meaning(
        "The answer is not what Milvus can read.", "Use a vLLM image that serves the Jina-style rerank API."
    ),
    Reason.INCOMPLETE_SCORES: Meaning(
        "The answer does not hold exactly one score per document; Milvus would give documents wrong scores.",
        "Use another engine version (spec.engine.image).",
    ),
    Reason.NON_FINITE_SCORES: Meaning(
        "A score is not a finite number; Milvus would fail the search.",
        "Set spec.engine.dtype to bfloat16 or float32: float16 overflows with some models.",
    ),
    Reason.RANKING_WRONG: Meaning(
        "The right document is not on top.",
        "The model is not a reranker, or lacks its prompt template: check the model card and spec.engine.args.",
    ),
    Reason.SCORES_CONSTANT: Meaning(
        "Different documents get the same score.",
        "Check that the model folder holds its tokenizer files, and that a template it needs is given "
        "(--chat-template).",
    ),
    Reason.TOO_SLOW_FOR_MILVUS: Meaning(
        "Not even a few documents are answered within ten seconds; Milvus gives up after thirty.",
        "Choose a smaller model, lower spec.model.maxLength, or use an accelerator.",
    ),
    Reason.CONFIG_PUBLISHED: Meaning("The ConfigMap describes the model that the Service routes to."),
    Reason.WAITING_FOR_VERIFICATION: Meaning("Nothing is published before the model has ranked right."),
    Reason.AUTOSCALER_ACTIVE: Meaning("An autoscaler sets the number of pods."),
    Reason.KEDA_MISSING: Meaning(
        "spec.autoscaling.waitingRequests needs KEDA, and this cluster does not have it. The number of pods stays.",
        "Install KEDA, or use spec.autoscaling.metrics.",
    ),
    Reason.READY: Meaning("The model serves, ranks right, and its params are published."),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One condition without its times: those depend on what was there before."""

    type: ConditionType
    status: Status
    reason: Reason
    detail: str = ""

    @property
    def message(self) -> str:
        """What was seen, then the remedy; never longer than a condition may be."""
        meaning = MEANINGS[self.reason]
        seen = (self.detail or meaning.when).strip()
        if seen and seen[-1] not in ".!?":
            seen += "."
        room = MAX_MESSAGE_LENGTH - len(meaning.remedy) - 1
        if len(seen) > room:
            seen = seen[: room - 1] + "…"
        return f"{seen} {meaning.remedy}".strip()


def merge_conditions(
    before: Iterable[dict[str, object]], conditions: Iterable[Condition], generation: int, now: str
) -> list[dict[str, object]]:
    """Give each condition its `lastTransitionTime`: the old one while the status stays the same.

    `now` is an RFC 3339 time in UTC. Conditions that are not ours are not returned: server-side apply leaves
    them alone.
    """
    known = {c["type"]: c for c in before}
    merged: list[dict[str, object]] = []
    for condition in conditions:
        old = known.get(condition.type.value, {})
        # The CRD's own default (Pending since 1970) is nobody's observation.
        same = old.get("status") == condition.status and old.get("reason") != Reason.PENDING.value
        merged.append(
            {
                "type": condition.type.value,
                "status": condition.status,
                "reason": condition.reason.value,
                "message": condition.message,
                "observedGeneration": generation,
                "lastTransitionTime": old.get("lastTransitionTime", now) if same else now,
            }
        )
    return merged
