"""What a kubelet writes into the status of a pod, for one that runs and for those that fail: pure functions.

The failing ones repeat the reasons and the wording that a real kubelet 1.36 and a real scheduler use.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Pod = dict[str, Any]
Status = dict[str, Any]
NOT_READY = "ContainersNotReady"
NO_GPU_LEFT = (
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Behaviour:
    """What becomes of a pod: ``after`` seconds ``status(pod, ip, now)`` is written, then nothing changes.

    ``stop_after`` is how long a pod on a node goes on once it has been deleted, as one that drains does.
    """

    after: float
    status: Callable[[Pod, str, str], Status]
    ready: bool = False
    stop_after: float = 0.0


def becomes_ready(after: float = 0.2, *, stop_after: float = 0.0) -> Behaviour:
    """Run, and be ready after so many seconds."""
    return Behaviour(after, lambda pod, ip, now: running(pod, ip, now, ready=True), True, stop_after)


def never_ready(after: float = 0.2) -> Behaviour:
    """Run, and fail the startup probe for ever: a model that loads and loads."""
    return Behaviour(after, lambda pod, ip, now: running(pod, ip, now, ready=False))


def image_pull_back_off(after: float = 0.2) -> Behaviour:
    """Find no image."""

    def message(pod: Pod) -> str:
        image = pod["spec"]["containers"][0]["image"]
        return f'Back-off pulling image "{image}": ErrImagePull: rpc error: code = NotFound'

    return Behaviour(after, lambda pod, ip, now: waiting(pod, ip, now, "ImagePullBackOff", message(pod)))


def create_container_config_error(message: str = 'secret "x" not found', after: float = 0.2) -> Behaviour:
    """Miss a Secret or ConfigMap that the container refers to."""
    reason = "CreateContainerConfigError"
    return Behaviour(after, lambda pod, ip, now: waiting(pod, ip, now, reason, message))


def crash_loop(
    message: str, *, exit_code: int = 1, reason: str = "", restarts: int = 3, after: float = 0.2
) -> Behaviour:
    """Start, end, and start again; ``message`` is the termination message.

    vLLM ends with 0 when its core dies, so any exit code is possible; ``reason`` can be OOMKilled.
    """
    last = {"exitCode": exit_code, "reason": reason or ("Error" if exit_code else "Completed")}
    last["message"] = message
    return Behaviour(after, lambda pod, ip, now: crashing(pod, ip, now, last, restarts))


def unschedulable(message: str = NO_GPU_LEFT, after: float = 0.2) -> Behaviour:
    """Fit on no node, as the scheduler says it."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}

    def status(_pod: Pod, _ip: str, now: str) -> Status:
        return {"phase": "Pending", "conditions": [{**condition, "lastTransitionTime": now}]}

    return Behaviour(after, status)


def running(pod: Pod, ip: str, now: str, *, ready: bool) -> Status:
    """Return the status of a pod whose containers run."""
    containers = [
        {
            **container_status(pod, container),
            "ready": ready,
            "started": ready,
            "state": {"running": {"startedAt": now}},
        }
        for container in pod["spec"]["containers"]
    ]
    return {
        "phase": "Running",
        **addresses(ip, now),
        **conditions(now, ready=ready),
        "containerStatuses": containers,
    }


def waiting(pod: Pod, ip: str, now: str, reason: str, message: str) -> Status:
    """Return the status of a pod whose first container cannot start."""
    first, *_ = pod["spec"]["containers"]
    state = {"waiting": {"reason": reason, "message": message}}
    container = {
        **container_status(pod, first),
        "containerID": "",
        "ready": False,
        "started": False,
        "state": state,
    }
    return {
        "phase": "Pending",
        **addresses(ip, now),
        **conditions(now, ready=False),
        "containerStatuses": [container],
    }


def crashing(pod: Pod, ip: str, now: str, last: dict[str, Any], restarts: int) -> Status:
    """Return the status of a pod whose first container ends again and again."""
    first, *_ = pod["spec"]["containers"]
    name = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"
    back_off = f"back-off 5m0s restarting failed container={first['name']} pod={name}"
    container = {
        **container_status(pod, first),
        "ready": False,
        "started": False,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": back_off}},
        "lastState": {"terminated": {**last, "startedAt": now, "finishedAt": now}},
    }
    return {
        "phase": "Running",
        **addresses(ip, now),
        **conditions(now, ready=False),
        "containerStatuses": [container],
    }


def container_status(pod: Pod, container: dict[str, Any]) -> dict[str, Any]:
    """Return what every container status says."""
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "containerID": f"containerd://{pod['metadata']['uid'].replace('-', '')}",
        "restartCount": 0,
    }


def addresses(ip: str, now: str) -> Status:
    """Return where a pod runs and since when."""
    return {"podIP": ip, "podIPs": [{"ip": ip}], "startTime": now}


def conditions(now: str, *, ready: bool) -> Status:
    """Return the conditions of a pod that has been given to a node."""
    state = {"True": {"status": "True"}, "False": {"status": "False", "reason": NOT_READY}}[str(ready)]
    parts = {"PodScheduled": {"status": "True"}, "Initialized": {"status": "True"}}
    parts |= {"ContainersReady": state, "Ready": state}
    return {"conditions": [{"type": kind, "lastTransitionTime": now, **part} for kind, part in parts.items()]}
