"""Name the fault of model pods that are not ready. Pure.

What kubelet, the scheduler and vLLM say is matched against what they were seen to say; anything else keeps their
own words under a general reason.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, Final

from rerank_operator.api.reasons import Reason
from rerank_operator.controller.values import Fault, Object, Pod, seconds_of

_MAX_WORDS: Final = 400
# From the startup probe's last failure to the end of the container: one period, the grace period, some room.
KILL_SECONDS: Final = 120.0
_PULL_REASONS: Final = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
}

# Last words of vLLM (facts of a real 0.32.0), in the order in which they are tried.
_LAST_WORDS: Final = (
    (r"No module named 'rerank_guard'|module 'rerank_guard' has no", Reason.GUARD_FAILED),
    (r"rerank_guard: RERANK_GUARD_\w+=|unrecognized arguments: --middleware", Reason.GUARD_FAILED),
    (r"Repo id must be in the form|ensure the presence of a 'config.json'", Reason.MODEL_NOT_FOUND),
    (r"is not a valid (model|git) identifier|LocalEntryNotFoundError", Reason.MODEL_NOT_FOUND),
    (r"vllm serve: error:|error: argument|unrecognized arguments", Reason.BAD_ENGINE_ARGUMENT),
    (r"is greater than the derived max_model_len", Reason.BAD_ENGINE_ARGUMENT),
)
# What differs between two runs that fail alike: log prefixes with process ids, times, addresses.
_VOLATILE: Final = re.compile(
    r"\(\w+ pid=\d+\) |\b(?:INFO|WARNING|ERROR) \d\d-\d\d \d\d:\d\d:\d\d \[[^]]*\] |0x[0-9a-f]+", re.MULTILINE
)


def diagnose(
    pods: Iterable[Pod], deployment: Object | None, startup_seconds: float = math.inf, at: float = 0.0
) -> Fault | None:
    """The most telling fault of these pods at the time `at` (epoch seconds), or None while they simply start."""
    for pod in pods:
        if not pod.ready and (fault := diagnose_pod(pod, startup_seconds, at)):
            return fault
    return rejection(deployment) if deployment else None


def diagnose_pod(pod: Pod, startup_seconds: float, at: float) -> Fault | None:
    """The fault of a pod that is not ready."""
    if pod.unschedulable:
        return _unschedulable(pod.unschedulable.get("message", ""))
    for container in (
        *pod.status.get("initContainerStatuses", []),
        *pod.status.get("containerStatuses", []),
    ):
        if fault := _container_fault(container, startup_seconds, at):
            return fault
    runs = any("running" in c.get("state", {}) for c in pod.status.get("containerStatuses", []))
    if not runs and at - pod.created >= startup_seconds:
        return Reason.STARTUP_TIMEOUT, f"No container of pod {pod.name} runs {startup_seconds:g} s after it was created"
    return None


def _unschedulable(message: str) -> Fault:
    if "persistentvolumeclaim" in message.lower():
        return Reason.VOLUME_UNBOUND, f"The scheduler says: {message}"
    if re.search(r"Insufficient [\w.-]+/\w*gpu", message):
        return Reason.ACCELERATOR_MISSING, f"The scheduler says: {message}"
    return Reason.UNSCHEDULABLE, f"The scheduler says: {message}"


def _container_fault(container: dict[str, Any], startup_seconds: float, at: float) -> Fault | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_REASONS:
        cause = message.rsplit("ErrImagePull: ", 1)[-1]
        return Reason.IMAGE_PULL_FAILED, f"The kubelet says: {_clip(cause or reason)}"
    if reason == "CreateContainerConfigError":
        missing_key = "couldn't find key" in message
        return Reason.SECRET_KEY_MISSING if missing_key else Reason.SECRET_MISSING, f"The kubelet says: {message}"
    if fault := _startup_timeout(container, startup_seconds, at):
        return fault
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    return _ended(ended) if ended else None


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


def _ended(terminated: dict[str, Any]) -> Fault:
    words = _VOLATILE.sub("", terminated.get("message", ""))
    cause = terminated.get("reason", "Error")
    seen = f"The engine ended ({cause}, exit code {terminated.get('exitCode')}): {_telling_line(words)}"
    for pattern, reason in _LAST_WORDS:
        if re.search(pattern, words):
            return reason, seen
    return Reason.CRASH_LOOPING, seen


def _telling_line(words: str) -> str:
    """The last line that names an error, else the last line at all."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\w*(Error|Exception)\b|error:", line)]
    return _clip((errors or lines or ["it said nothing"])[-1])


def rejection(deployment: Object) -> Fault | None:
    """Why the API server refuses the pods of a Deployment."""
    for condition in deployment.get("status", {}).get("conditions", []):
        if condition["type"] != "ReplicaFailure" or condition["status"] != "True":
            continue
        message = condition.get("message", "")
        seen = f"The API server says: {_clip(message)}"
        if "violates PodSecurity" in message:
            return Reason.POD_SECURITY_FORBIDDEN, seen
        return (Reason.QUOTA_EXCEEDED if "exceeded quota" in message else Reason.POD_REJECTED), seen
    return None


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_WORDS else text[:_MAX_WORDS] + "…"
