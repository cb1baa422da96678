"""Name the fault of model pods that are not ready. Pure.

What kubelet, the scheduler, the API server and vLLM say is read by `diagnosis`; here it is decided who is listened to.
The newest fact wins, and the same fault always reads the same: a pod that crashes or cannot be pulled alternates
between two states, and a status must not.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.reasons import Reason
from rerank_operator.controller.pods import Object, Pod, Said
from rerank_operator.controller.times import seconds_of
from rerank_operator.controller.values import Fault
from rerank_operator.diagnosis import kubelet_words
from rerank_operator.diagnosis.admission_words import read_rejection
from rerank_operator.diagnosis.engine_words import read_last_words, telling_line
from rerank_operator.diagnosis.scheduler_words import read_unschedulable
from rerank_operator.diagnosis.step_words import read_step

# From the startup probe's last failure to the end of the container: one period, the grace period, some room.
KILL_SECONDS: Final = 120.0
# A pod that is given to a node starts its containers within this time, unless something is wrong or is pulled.
NO_CONTAINER_SECONDS: Final = 15.0
_KILLED: Final = 137
# Words that leave open why: a log may tell.
_UNTOLD: Final = {Reason.CRASH_LOOPING}
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def diagnose(
    pods: Iterable[Pod],
    deployment: Object | None,
    startup_seconds: float = math.inf,
    at: float = 0.0,
    events: Mapping[str, Sequence[Said]] = _NOTHING,
    logs: Mapping[str, str] = _NOTHING,
) -> Fault | None:
    """The most telling fault of these pods at the time `at` (epoch seconds), or None while they simply start.

    `events` and `logs` are by pod uid: Events oldest first, and the log of the run that ended last.
    """
    for pod in pods:
        if pod.ready:
            continue
        if fault := diagnose_pod(pod, startup_seconds, at, events.get(pod.uid, ()), logs.get(pod.uid, "")):
            return fault
    return rejection(deployment) if deployment else None


def diagnose_pod(
    pod: Pod, startup_seconds: float, at: float, events: Sequence[Said] = (), log: str = ""
) -> Fault | None:
    """The fault of a pod that is not ready."""
    if pod.status.get("reason") == "Evicted":
        return kubelet_words.read_eviction(pod.status.get("message", ""))
    if _is_lost(pod):
        return Reason.NODE_LOST, f"The node of pod {pod.name} does not answer any more"
    if pod.unschedulable:
        return read_unschedulable(pod.unschedulable.get("message", ""))
    steps = (_step_fault(container) for container in pod.status.get("initContainerStatuses", []))
    engines = (_container_fault(container, startup_seconds, at, log) for container in _containers(pod))
    return next(filter(None, (*steps, *engines)), None) or _silent(pod, startup_seconds, at, events)


def _silent(pod: Pod, startup_seconds: float, at: float, events: Sequence[Said]) -> Fault | None:
    """The fault of a pod whose containers say nothing."""
    if pod.running_since is not None:
        seen = f"The engine of pod {pod.name} runs, and its readiness probe fails"
        return (Reason.ENGINE_UNRESPONSIVE, seen) if pod.was_ready else None
    if fault := _stuck(events):
        return fault
    if fault := _without_a_claim(pod, at):
        return fault
    if at - pod.created >= startup_seconds:
        return Reason.STARTUP_TIMEOUT, f"No container of pod {pod.name} runs {startup_seconds:g} s after it was created"
    return None


def _without_a_claim(pod: Pod, at: float) -> Fault | None:
    """A claim that is not there: the scheduler then does not look at the pod, and says nothing."""
    is_seen = any(condition["type"] == "PodScheduled" for condition in pod.status.get("conditions", []))
    if is_seen or not pod.claims or at < pod.created + NO_CONTAINER_SECONDS:
        return None
    seen = (
        f"The scheduler does not look at pod {pod.name} before its claims are there "
        f"(spec.accelerator.claims: {', '.join(pod.claims)}): the ResourceClaim or the template is missing"
    )
    return Reason.ACCELERATOR_MISSING, seen


def rejection(deployment: Object) -> Fault | None:
    """Why the API server refuses the pods of a Deployment."""
    for condition in deployment.get("status", {}).get("conditions", []):
        if (condition["type"], condition["status"]) == ("ReplicaFailure", "True"):
            return read_rejection(condition.get("message", ""))
    return None


def needs_log(pod: Pod) -> bool:
    """Whether the engine ended and what the kubelet kept of its words does not tell why."""
    ended = [terminated for container in _containers(pod) if (terminated := _ended(container))]
    return any(_fault_of_end(terminated, "")[0] in _UNTOLD for terminated in ended)


def needs_events(pod: Pod, at: float) -> bool:
    """Whether only Events tell what keeps the pod: from a node, from its volumes, or from answering."""
    if pod.ready:
        return False
    return bool(pod.unschedulable) or (pod.running_since is None and at >= pod.created + NO_CONTAINER_SECONDS)


def _is_lost(pod: Pod) -> bool:
    """Whether the node controller, not the kubelet, says that the pod is not ready: its containers were fine."""
    conditions = {c["type"]: c for c in pod.status.get("conditions", [])}
    ready, containers = conditions.get("Ready", {}), conditions.get("ContainersReady", {})
    by_gate = ready.get("reason") == "ReadinessGatesNotReady"
    return pod.status.get("reason") == "NodeLost" or (
        containers.get("status") == "True" and ready.get("status") != "True" and not by_gate
    )


def _containers(pod: Pod) -> tuple[dict[str, Any], ...]:
    return tuple(pod.status.get("containerStatuses", []))


def _step_fault(container: dict[str, Any]) -> Fault | None:
    """The fault of an init container: it may be tried again and again, and fails until it has succeeded once."""
    if fault := _creation_fault(container):
        return fault
    state = container.get("state", {})
    terminated = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    # A step of ours that runs again says nothing new; the kubelet calls it started as soon as it runs.
    is_sidecar = container.get("name") not in names.STEPS and container.get("started") and "running" in state
    if not terminated.get("exitCode") or is_sidecar:
        return None
    if terminated.get("reason") == "StartError":
        return kubelet_words.read_create_error(terminated.get("message", ""))
    seen = f"{container.get('name')} ended ({terminated.get('reason', 'Error')}, exit code {terminated['exitCode']})"
    if terminated.get("reason") == "OOMKilled":
        return Reason.OUT_OF_MEMORY, f"{seen}: it used more memory than its limit"
    return read_step(terminated.get("message", ""), seen)


def _creation_fault(container: dict[str, Any]) -> Fault | None:
    """Why the kubelet cannot create a container."""
    waiting = container.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in kubelet_words.PULL_REASONS:
        return kubelet_words.read_pull(reason, message)
    if reason == "CreateContainerConfigError":
        return kubelet_words.read_config_error(message)
    if reason in kubelet_words.CREATE_REASONS:
        return kubelet_words.read_create_error(message)
    return None


def _container_fault(container: dict[str, Any], startup_seconds: float, at: float, log: str) -> Fault | None:
    if fault := _creation_fault(container):
        return fault
    if fault := _startup_timeout(container, startup_seconds, at):
        return fault
    terminated = _ended(container)
    return _fault_of_end(terminated, log) if terminated else None


def _ended(container: dict[str, Any]) -> dict[str, Any] | None:
    """How the container ended last; None where that is history, because it started again and answered."""
    if container.get("started"):
        return None
    state: dict[str, Any] = container.get("state", {})
    ended: dict[str, Any] | None = state.get("terminated") or container.get("lastState", {}).get("terminated")
    return ended


def _fault_of_end(terminated: dict[str, Any], log: str) -> Fault:
    code, cause, words = terminated.get("exitCode"), terminated.get("reason", "Error"), terminated.get("message", "")
    if cause == "StartError":
        return kubelet_words.read_create_error(words)
    seen = f"The engine ended ({cause}, exit code {code})"
    if cause == "OOMKilled":
        return Reason.OUT_OF_MEMORY, f"{seen}: it used more memory than its limit"
    for text in (log, words):
        read = read_last_words(text) if text else None
        if read and read[0] not in _UNTOLD:
            return read[0], f"{seen}: {read[1]}"
    if code == _KILLED:
        return Reason.OUT_OF_MEMORY, f"{seen}: it was killed, probably for its memory"
    return Reason.CRASH_LOOPING, f"{seen}: {telling_line(log or words)}"


def _stuck(events: Sequence[Said]) -> Fault | None:
    """What keeps the containers of a pod from being created; the newest Event counts."""
    if not events or events[-1].reason not in kubelet_words.STUCK_EVENTS:
        return None
    return kubelet_words.read_event(events[-1].reason, events[-1].message)


def _startup_timeout(container: dict[str, Any], startup_seconds: float, at: float) -> Fault | None:
    """Whether the container runs, or ran when the kubelet ended it, for its whole time without an answer."""
    if container.get("started") is not False:
        return None
    running = container.get("state", {}).get("running")
    ended = container.get("lastState", {}).get("terminated", {})
    started_at = (running or {}).get("startedAt")
    late = started_at and at - seconds_of(started_at) >= startup_seconds
    if ended.get("startedAt") and ended.get("finishedAt"):
        ran = seconds_of(ended["finishedAt"]) - seconds_of(ended["startedAt"])
        late = late or startup_seconds <= ran <= startup_seconds + KILL_SECONDS
    return (Reason.STARTUP_TIMEOUT, f"No answer within {startup_seconds:g} s of its start") if late else None
