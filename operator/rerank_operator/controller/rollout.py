"""How a candidate is brought up: beside the active revision, or in its place. Pure.

BlueGreen needs room for both. Recreate frees the accelerator first; if the candidate then fails, the active
revision comes back. Auto begins as BlueGreen and goes on as Recreate when the scheduler has found no accelerator
for long enough: capacity is never guessed.

Everything is read from the cluster, so that a restart of the operator changes nothing: the candidate's Deployment
says that room was made for it (`takes-over`, `room-since`), and why it was given up (`failed`).
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import Strategy
from rerank_operator.controller.diagnose import NO_CONTAINER_SECONDS, diagnose_pod, needs_events, rejection
from rerank_operator.controller.pods import Object, Pod
from rerank_operator.controller.times import rfc3339, seconds_of
from rerank_operator.controller.values import Fault, Observed
from rerank_operator.diagnosis.scheduler_words import CLAIMED_DEVICES, missing_resources
from rerank_operator.resources.revision import facts_of

# What the cluster autoscaler and Karpenter say about a pod that waits.
_SCALE_UP: Final = {"TriggeredScaleUp", "Nominated"}
_NO_SCALE_UP: Final = {"NotTriggerScaleUp", "FailedScaleUp"}
# An autoscaler gets this long to bring the node that it announced, as the cluster autoscaler does itself.
AUTOSCALER_SECONDS: Final = 900.0
# An autoscaler may still take back what it announced, and Events do not wake us.
LOOK_FOR_NODE_SECONDS: Final = 30.0
LONGEST_LOOK_SECONDS: Final = 300.0
# Reasons that may pass by themselves (a registry, a Secret about to be created) get this long.
STUCK_SECONDS: Final = 60.0
# The accelerator of a pod that has just gone is not free in the same instant.
SHORTEST_UNSCHEDULABLE_SECONDS: Final = 5.0
# How long after its grace period a deleted pod is believed to end still.
LOST_SECONDS: Final = 30.0
WRONG_VERDICTS: Final = 3
CRASHES: Final = 3
_UNSCHEDULABLE: Final = {Reason.UNSCHEDULABLE, Reason.ACCELERATOR_MISSING}
# The engine's own last words leave no doubt: it will not start the next time either.
_CERTAIN: Final = {
    Reason.BAD_ENGINE_ARGUMENT,
    Reason.GUARD_FAILED,
    Reason.MODEL_GATED,
    Reason.MODEL_NOT_FOUND,
    Reason.TRUST_REMOTE_CODE_REQUIRED,
    Reason.UNSUPPORTED_ARCHITECTURE,
}
_ENDED: Final = {
    *_CERTAIN,
    Reason.ACCELERATOR_UNSUPPORTED,
    Reason.CRASH_LOOPING,
    Reason.DISK_FULL,
    Reason.DRIVER_TOO_OLD,
    Reason.MODEL_DOWNLOAD_FAILED,
    Reason.MODEL_UNREADABLE,
    Reason.OUT_OF_GPU_MEMORY,
    Reason.OUT_OF_MEMORY,
    Reason.PORT_IN_USE,
}
# Pods that were ready before: they come back, or their verdicts become final.
_MAY_PASS: Final = {Reason.ENGINE_UNRESPONSIVE, Reason.NODE_LOST}
_LONGEST_DETAIL: Final = 600


@dataclasses.dataclass(frozen=True, slots=True)
class Rollout:
    """Pods of each revision, annotations for the candidate's Deployment, and when (epoch seconds) to look again."""

    replicas: Mapping[str, int]
    annotations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    look_again_at: float | None = None


def plan_rollout(observed: Observed, revisions: Mapping[str, Object]) -> Rollout:
    """How many pods the desired and the active revision should have now."""
    desired, active, wanted = observed.desired, observed.active, observed.wanted_replicas
    look_again_at = min((time for time in _turning_points(observed, revisions) if time > observed.at), default=None)
    if active is None or active == desired or active not in revisions:
        return Rollout({desired: wanted}, look_again_at=look_again_at)
    if observed.failure_of(desired):
        return Rollout({desired: 0, active: wanted})
    if not _takes_over(observed, revisions[active]):
        return Rollout({desired: wanted, active: wanted}, look_again_at=look_again_at)
    annotations = {names.ANNOTATION_TAKES_OVER: active}
    if any(_is_in_the_way(pod, observed) for pod in observed.pods):
        placed = [pod for pod in observed.pods_of(desired) if pod.unschedulable is None]  # they go on loading
        return Rollout({desired: min(wanted, len(placed)), active: 0}, annotations, look_again_at)
    since = observed.room_since(desired)
    if since is not None and (fault := _final_fault(observed, revisions, since)):
        failed = json.dumps({"reason": fault[0], "detail": fault[1][:_LONGEST_DETAIL]})
        return Rollout({desired: 0, active: wanted}, {names.ANNOTATION_FAILED: failed})
    annotations[names.ANNOTATION_ROOM_SINCE] = rfc3339(observed.at if since is None else since)
    return Rollout({desired: wanted, active: 0}, annotations, look_again_at)


def scale_up_of(pod: Pod, observed: Observed) -> float | None:
    """When an autoscaler said that it adds a node for this pod, while that may still be true."""
    said = observed.events.get(pod.uid, ())
    announced = max((event.at for event in said if event.reason in _SCALE_UP), default=0.0)
    withdrawn = max((event.at for event in said if event.reason in _NO_SCALE_UP), default=0.0)
    return announced if announced > withdrawn and observed.at < announced + AUTOSCALER_SECONDS else None


def lacks_what_the_active_holds(pod: Pod, active: Object) -> bool:
    """Whether the scheduler misses something for this pod that the pods of the active revision hold."""
    if pod.unschedulable is None:
        return False
    return bool(missing_resources(pod.unschedulable.get("message", "")) & _held_by(active))


def _is_in_the_way(pod: Pod, observed: Observed) -> bool:
    """Whether a pod of the active revision still holds its accelerator.

    On a node that was lost a deleted pod stays for ever; its accelerator is lost too, and not worth waiting for.
    """
    is_lost = pod.gone_by is not None and observed.at >= pod.gone_by + LOST_SECONDS
    return pod.revision == observed.active and not is_lost and not pod.has_ended


def _takes_over(observed: Observed, active: Object) -> bool:
    rollout = observed.wanted.spec.rollout
    if observed.takes_over(observed.desired) or rollout.strategy is Strategy.RECREATE:
        return True
    if rollout.strategy is not Strategy.AUTO or not observed.pods_of(observed.active or ""):
        return False
    return any(
        lacks_what_the_active_holds(pod, active)
        and scale_up_of(pod, observed) is None
        and observed.at >= _unschedulable_since(pod) + rollout.recreate_after_seconds
        for pod in observed.pods_of(observed.desired)
    )


def _final_fault(observed: Observed, revisions: Mapping[str, Object], room_since: float) -> Fault | None:
    """Why the candidate will not get there, although it has all the room since then."""
    desired = observed.desired
    if wrong := observed.wrong_verdict(desired):
        pod, record = wrong
        if record.failures >= WRONG_VERDICTS:
            return record.verdict.reason, f"Pod {pod.name}: {record.verdict.detail}"
    if observed.secret_fault and observed.at >= room_since + STUCK_SECONDS:
        return observed.secret_fault
    startup_seconds = facts_of(revisions[desired]).startup_seconds
    for pod in observed.pods_of(desired):
        events, log = observed.events.get(pod.uid, ()), observed.logs.get(pod.uid, "")
        fault = None if pod.ready else diagnose_pod(pod, startup_seconds, observed.at, events, log)
        if fault and _is_final(fault[0], pod, observed, room_since):
            return fault
    deployment = observed.deployments.get(desired)
    if deployment and not observed.pods_of(desired):
        return rejection(deployment) if observed.at >= _rejected_since(deployment) + STUCK_SECONDS else None
    return None


def _is_final(reason: Reason, pod: Pod, observed: Observed, room_since: float) -> bool:
    if reason is Reason.STARTUP_TIMEOUT:
        return True
    if reason in _MAY_PASS:
        return False
    if reason in _ENDED:
        return _crashes(pod) >= (1 if reason in _CERTAIN else CRASHES)
    if reason in _UNSCHEDULABLE:
        patience = max(SHORTEST_UNSCHEDULABLE_SECONDS, observed.wanted.spec.rollout.recreate_after_seconds)
        since = max(room_since, _unschedulable_since(pod))
        return scale_up_of(pod, observed) is None and observed.at >= since + patience
    return observed.at >= max(room_since, pod.created) + STUCK_SECONDS


def _turning_points(observed: Observed, revisions: Mapping[str, Object]) -> Iterator[float]:
    """When the judgement of the pods may change although nothing happens."""
    desired, rollout = observed.desired, observed.wanted.spec.rollout
    startup_seconds = facts_of(revisions[desired]).startup_seconds
    if room_since := observed.room_since(desired):
        yield room_since + STUCK_SECONDS
        yield room_since + max(SHORTEST_UNSCHEDULABLE_SECONDS, rollout.recreate_after_seconds)
    yield from (pod.gone_by + LOST_SECONDS for pod in observed.pods if pod.gone_by is not None)
    for pod in observed.pods_of(desired):
        if pod.ready:
            continue
        yield pod.created + STUCK_SECONDS
        yield pod.created + startup_seconds
        if pod.running_since is None:
            yield pod.created + NO_CONTAINER_SECONDS
        if needs_events(pod, observed.at):  # and none of them wakes us
            yield observed.at + min(max(LOOK_FOR_NODE_SECONDS, (observed.at - pod.created) / 4), LONGEST_LOOK_SECONDS)
        if pod.unschedulable:
            yield _unschedulable_since(pod) + rollout.recreate_after_seconds
        for container in pod.status.get("containerStatuses", []):
            if started_at := container.get("state", {}).get("running", {}).get("startedAt"):
                yield seconds_of(started_at) + startup_seconds
    deployment = observed.deployments.get(desired)
    if deployment and rejection(deployment):
        yield _rejected_since(deployment) + STUCK_SECONDS


def _crashes(pod: Pod) -> int:
    """How often containers of the pod have ended."""
    containers = (*pod.status.get("initContainerStatuses", []), *pod.status.get("containerStatuses", []))
    return sum(c.get("restartCount", 0) + (1 if "terminated" in c.get("state", {}) else 0) for c in containers)


def _unschedulable_since(pod: Pod) -> float:
    condition: dict[str, Any] = pod.unschedulable or {}
    return seconds_of(condition["lastTransitionTime"]) if condition.get("lastTransitionTime") else pod.created


def _rejected_since(deployment: Object) -> float:
    times = [c["lastTransitionTime"] for c in deployment.get("status", {}).get("conditions", [])]
    return max(map(seconds_of, times), default=math.inf)


def _held_by(stored: Object) -> set[str]:
    """Resources that a pod of a stored revision asks for: the accelerator, processors, memory.

    Devices of a claim of its own as well; those of a claim that all pods share are free for the next one too.
    """
    pod = stored["data"]["template"]["spec"]
    claims = pod.get("resourceClaims", [])
    held = {CLAIMED_DEVICES} if any("resourceClaimTemplateName" in claim for claim in claims) else set()
    for container in pod["containers"]:
        resources = container.get("resources", {})
        held |= set(resources.get("requests", {})) | set(resources.get("limits", {}))
    return held
