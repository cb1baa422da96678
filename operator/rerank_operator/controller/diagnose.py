"""Name the fault of model pods that are not ready. Pure.

What kubelet, the scheduler and vLLM say is matched against what they were seen to say; anything else keeps their
own words under a general reason.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from rerank_operator.api.conditions import Reason
from rerank_operator.controller.values import Object, Pod

Fault = tuple[Reason, str]

_MAX_WORDS: Final = 400
_PULL_REASONS: Final = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
}

# Last words of vLLM (facts of a real 0.32.0), in the order in which they are tried.
_LAST_WORDS: Final = (
    (r"Repo id must be in the form|ensure the presence of a 'config.json'", Reason.MODEL_NOT_FOUND),
    (r"is not a valid (model|git) identifier|LocalEntryNotFoundError", Reason.MODEL_NOT_FOUND),
    (r"vllm serve: error:|error: argument|unrecognized arguments", Reason.BAD_ENGINE_ARGUMENT),
    (r"is greater than the derived max_model_len", Reason.BAD_ENGINE_ARGUMENT),
)
# What differs between two runs that fail alike: log prefixes with process ids, times, addresses.
_VOLATILE: Final = re.compile(
    r"\(\w+ pid=\d+\) |\b(?:INFO|WARNING|ERROR) \d\d-\d\d \d\d:\d\d:\d\d \[[^]]*\] |0x[0-9a-f]+", re.MULTILINE
)


def diagnose(pods: Iterable[Pod], deployment: Object | None) -> Fault | None:
    """The most telling fault of these pods, or None while they simply start."""
    faults = [fault for pod in pods if not pod.ready for fault in [_pod_fault(pod)] if fault]
    if faults:
        return faults[0]
    return _rejected(deployment) if deployment else None


def _pod_fault(pod: Pod) -> Fault | None:
    for condition in pod.status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _unschedulable(condition.get("message", ""))
    for container in (
        *pod.status.get("initContainerStatuses", []),
        *pod.status.get("containerStatuses", []),
    ):
        if fault := _container_fault(container):
            return fault
    return None


def _unschedulable(message: str) -> Fault:
    if "persistentvolumeclaim" in message.lower():
        return Reason.VOLUME_UNBOUND, f"The scheduler says: {message}"
    if re.search(r"Insufficient [\w.-]+/\w*gpu", message):
        return Reason.ACCELERATOR_MISSING, f"The scheduler says: {message}"
    return Reason.UNSCHEDULABLE, f"The scheduler says: {message}"


def _container_fault(container: dict[str, Any]) -> Fault | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_REASONS:
        cause = message.rsplit("ErrImagePull: ", 1)[-1]
        return Reason.IMAGE_PULL_FAILED, f"The kubelet says: {_clip(cause or reason)}"
    if reason == "CreateContainerConfigError":
        missing_key = "couldn't find key" in message
        return Reason.SECRET_KEY_MISSING if missing_key else Reason.SECRET_MISSING, f"The kubelet says: {message}"
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    return _ended(ended) if ended else None


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


def _rejected(deployment: Object) -> Fault | None:
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
