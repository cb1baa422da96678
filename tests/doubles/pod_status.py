"""What a kubelet writes into the status of a pod, for one that runs and for those that fail: pure functions.

The failing ones repeat the reasons and the wording of Kubernetes 1.36.3 and of containerd, from their sources:

* pulls: kubelet `pkg/kubelet/images/image_manager.go`, with containerd's words after it;
* what ended: `kuberuntime_container.go`; OOMKilled and StartError (exit code 128) are containerd's;
* evictions: `pkg/kubelet/eviction/helpers.go` and `pkg/kubelet/status/generate.go`;
* volumes: `pkg/volume/util/operationexecutor`, and the attach-detach controller;
* a lost node: `MarkPodsNotReady` in `pkg/controller/util/node/controller_utils.go`;
* no node: `FitError` in `pkg/scheduler/framework/types.go`; a test compares these with a real scheduler.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Pod = dict[str, Any]
Status = dict[str, Any]
NOT_READY = "ContainersNotReady"
POD_FAILED = "PodFailed"
LONG_AGO = "1970-01-01T00:00:00Z"

_NO_HELP = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
_NO_VICTIMS = (
    "no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
)
NO_GPU_LEFT = f"0/1 nodes are available: 1 Insufficient nvidia.com/gpu. {_NO_VICTIMS}"
NO_GPU_ANYWHERE = f"0/1 nodes are available: 1 Insufficient nvidia.com/gpu. {_NO_HELP}"
# Of claims of dynamic resource allocation; preemption says the same whether devices are in use or not there.
NO_DEVICE = (
    "0/1 nodes are available: 1 cannot allocate all claims. still not schedulable, preemption: "
    "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
)
NO_DEVICE_CLASS = f"0/1 nodes are available: request gpu: device class gpu.example.com does not exist. {_NO_HELP}"
NO_CPU_ANYWHERE = f"0/1 nodes are available: 1 Insufficient cpu. {_NO_HELP}"
NO_NODE_MATCHES = f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {_NO_HELP}"
TAINTED = f"0/1 nodes are available: 1 node(s) had untolerated taint(s). {_NO_HELP}"
NO_CLAIM = '0/1 nodes are available: persistentvolumeclaim "models" not found. not found.'

# What containerd says about an image, after `failed to resolve reference "IMAGE": `.
_REGISTRY = "https://registry.example.com"
IMAGE_UNAUTHORIZED = (
    "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
    f"{_REGISTRY}/token?scope=repository%3Avllm%3Apull&service=registry: 401 Unauthorized"
)
IMAGE_FORBIDDEN = (
    "pull access denied, repository does not exist or may require authorization: server message: "
    "insufficient_scope: authorization failed"
)
IMAGE_HOST_UNKNOWN = (
    f'failed to do request: Head "{_REGISTRY}/v2/vllm/manifests/1": dial tcp: lookup registry.example.com on '
    "10.96.0.10:53: no such host"
)
IMAGE_HOST_SILENT = (
    f'failed to do request: Head "{_REGISTRY}/v2/vllm/manifests/1": dial tcp 203.0.113.7:443: i/o timeout'
)

DRIVER_TOO_OLD = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: error running prestart hook #0: exit status 1, "
    "stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: requirement error: unsatisfied condition: "
    "cuda>=12.9, please update your driver to a newer version, or use an earlier cuda container: unknown"
)
LOW_ON_STORAGE = (
    "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. "
    "Container engine was using 21Gi, request is 0, has larger consumption of ephemeral-storage. "
)
LOW_ON_MEMORY = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61328Ki. "
    "Container engine was using 9Gi, request is 4Gi, has larger consumption of memory. "
)
EMPTY_DIR_FULL = 'Usage of EmptyDir volume "cache" exceeds the limit "20Gi". '


class PodEvent(NamedTuple):
    """An Event about a pod; ``type`` is Normal or Warning."""

    type: str
    reason: str
    message: str


NOT_MOUNTED = PodEvent(
    "Warning",
    "FailedMount",
    'MountVolume.SetUp failed for volume "models" : mount failed: exit status 32\nMounting command: mount\n'
    "Mounting arguments: -t nfs nfs.example.com:/models /var/lib/kubelet/pods/0/volumes/kubernetes.io~nfs/models\n"
    "Output: mount.nfs: Connection timed out",
)
ATTACHED_ELSEWHERE = PodEvent(
    "Warning",
    "FailedAttachVolume",
    'Multi-Attach error for volume "pvc-models" Volume is already exclusively attached to one node and can\'t be '
    "attached to another",
)
NODE_NOT_READY = PodEvent("Warning", "NodeNotReady", "Node is not ready")


@dataclasses.dataclass(frozen=True, slots=True)
class Behaviour:
    """What becomes of a pod: ``after`` seconds ``status(pod, ip, now)`` is written and ``events`` are posted.

    Then nothing changes, or ``then()`` follows, each of it ``after`` seconds later; it may go on for ever.
    ``stop_after`` is how long a pod on a node goes on once it has been deleted, as one that drains does.
    """

    after: float
    status: Callable[[Pod, str, str], Status]
    ready: bool = False
    stop_after: float = 0.0
    events: tuple[PodEvent, ...] = ()
    then: Callable[[], Iterable[Behaviour]] = tuple

    def stages(self) -> Iterator[Behaviour]:
        """This one, and all that follow it."""
        yield self
        yield from self.then()


def becomes_ready(after: float = 0.2, *, stop_after: float = 0.0) -> Behaviour:
    """Run, and be ready after so many seconds."""
    return Behaviour(after, lambda pod, ip, now: running(pod, ip, now, ready=True), True, stop_after)


def ready_until(failure: Behaviour, after: float = 0.2) -> Behaviour:
    """Be ready first; the failure comes as many seconds later as it says."""
    return dataclasses.replace(becomes_ready(after), then=failure.stages)


def never_ready(after: float = 0.2) -> Behaviour:
    """Run, and fail the startup probe for ever: a model that loads and loads."""
    return Behaviour(after, lambda pod, ip, now: running(pod, ip, now, ready=False))


def not_ready_any_more(after: float = 0.2) -> Behaviour:
    """Have started, and fail the readiness probe: an engine that froze."""
    return Behaviour(after, lambda pod, ip, now: running(pod, ip, now, ready=False, started=True))


def image_pull_back_off(error: str = "not found", after: float = 0.2) -> Behaviour:
    """Find no image, or not be let in; ``error`` is how containerd's words end."""

    def status(pod: Pod, ip: str, now: str) -> Status:
        return waiting(pod, ip, now, "ImagePullBackOff", backing_off(pod, error))

    return Behaviour(after, status)


def pull_loop(error: str = "not found", every: float = 0.2) -> Behaviour:
    """Try to pull and wait, again and again."""

    def failing(pod: Pod, ip: str, now: str) -> Status:
        return waiting(pod, ip, now, "ErrImagePull", pull_error(pod, error))

    stages = (Behaviour(every, failing), image_pull_back_off(error, every))
    return dataclasses.replace(stages[0], then=lambda: itertools.cycle(reversed(stages)))


def create_container_config_error(message: str = 'secret "x" not found', after: float = 0.2) -> Behaviour:
    """Miss a Secret or ConfigMap that the container refers to."""
    reason = "CreateContainerConfigError"
    return Behaviour(after, lambda pod, ip, now: waiting(pod, ip, now, reason, message))


def mount_failed(event: PodEvent = NOT_MOUNTED, after: float = 0.2) -> Behaviour:
    """Wait for a volume for ever: the status says nothing, the Event does."""

    def status(pod: Pod, ip: str, now: str) -> Status:
        found = waiting(pod, ip, now, "ContainerCreating", "")
        return {key: value for key, value in found.items() if key not in {"podIP", "podIPs"}}

    return Behaviour(after, status, events=(event,))


def crash_loop(
    message: str, *, exit_code: int = 1, reason: str = "", restarts: int = 3, after: float = 0.2
) -> Behaviour:
    """Start, end, and start again; ``message`` is the termination message.

    vLLM ends with 0 when its core dies, so any exit code is possible; ``reason`` can be OOMKilled.
    """
    last = ended(message, exit_code, reason)
    return Behaviour(after, lambda pod, ip, now: crashing(pod, ip, now, last, restarts))


def restarting(message: str, *, exit_code: int = 1, reason: str = "", every: float = 0.2) -> Behaviour:
    """Run, end and wait, again and again, as `crash_loop` does between two looks at it."""
    last = ended(message, exit_code, reason)

    def in_turn(turn: int) -> Iterator[Behaviour]:
        before = last if turn else None
        yield Behaviour(every, lambda pod, ip, now: running(pod, ip, now, ready=False, last=before, restarts=turn))
        yield Behaviour(every, lambda pod, ip, now: has_ended(pod, ip, now, last, turn))
        yield Behaviour(every, lambda pod, ip, now: crashing(pod, ip, now, last, turn))

    first, *rest = in_turn(0)
    return dataclasses.replace(
        first, then=lambda: itertools.chain(rest, itertools.chain.from_iterable(map(in_turn, itertools.count(1))))
    )


def out_of_memory(message: str = "", after: float = 0.2) -> Behaviour:
    """Be killed for the memory that the container used: all of it at once, as since cgroups v2."""
    return crash_loop(message, exit_code=137, reason="OOMKilled", after=after)


def child_out_of_memory(message: str, after: float = 0.2) -> Behaviour:
    """Lose a child to the memory limit and end by itself: the exit code is its own, the reason is not."""
    return crash_loop(message, exit_code=1, reason="OOMKilled", after=after)


def start_error(message: str = DRIVER_TOO_OLD, after: float = 0.2) -> Behaviour:
    """Not even start: the container runtime, or a hook of it, refuses."""
    last = {**ended(message, 128, "StartError"), "startedAt": LONG_AGO}
    return Behaviour(after, lambda pod, ip, now: crashing(pod, ip, now, last, 3))


def evicted(message: str = LOW_ON_STORAGE, after: float = 0.2) -> Behaviour:
    """End the first pod because the node is short of something; the taint of the node keeps the next ones away.

    Knows the pod that it evicted: one behaviour for one node.
    """
    first: list[str] = []
    pressure = unschedulable(TAINTED)

    def status(pod: Pod, ip: str, now: str) -> Status:
        if not first:
            first.append(pod["metadata"]["uid"])
        if first != [pod["metadata"]["uid"]]:
            return pressure.status(pod, ip, now)
        return failed(pod, ip, now, "Evicted", message)

    return Behaviour(after, status)


def node_lost(after: float = 0.2) -> Behaviour:
    """Run on a node that does not answer: the node controller marks the pod, and leaves all else as it was."""

    def status(pod: Pod, ip: str, now: str) -> Status:
        found = running(pod, ip, now, ready=True)
        lost = {"type": "Ready", "status": "False", "lastTransitionTime": now}
        return {**found, "conditions": [lost if c["type"] == "Ready" else c for c in found["conditions"]]}

    return Behaviour(after, status, events=(NODE_NOT_READY,))


def unschedulable(message: str = NO_GPU_LEFT, after: float = 0.2) -> Behaviour:
    """Fit on no node, as the scheduler says it."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}

    def status(_pod: Pod, _ip: str, now: str) -> Status:
        return {"phase": "Pending", "conditions": [{**condition, "lastTransitionTime": now}]}

    return Behaviour(after, status, events=(PodEvent("Warning", "FailedScheduling", message),))


def pull_error(pod: Pod, error: str) -> str:
    """Return what containerd says about the image of a pod that it cannot pull."""
    image = pod["spec"]["containers"][0]["image"]
    code, end = ("NotFound", f"{image}: not found") if error == "not found" else ("Unknown", error)
    asked = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}"'
    return f"rpc error: code = {code} desc = {asked}: {end}"


def backing_off(pod: Pod, error: str) -> str:
    """Return what the kubelet says between two tries to pull."""
    image = pod["spec"]["containers"][0]["image"]
    return f'Back-off pulling image "{image}": ErrImagePull: {pull_error(pod, error)}'


def ended(message: str, exit_code: int, reason: str) -> dict[str, Any]:
    """Return the state of a container that ended, without its times."""
    return {"exitCode": exit_code, "reason": reason or ("Error" if exit_code else "Completed"), "message": message}


def running(
    pod: Pod,
    ip: str,
    now: str,
    *,
    ready: bool,
    started: bool = False,
    last: dict[str, Any] | None = None,
    restarts: int = 0,
) -> Status:
    """Return the status of a pod whose containers run; ``last`` is how they ended before."""
    part = {"ready": ready, "started": ready or started, "state": {"running": {"startedAt": now}}}
    if last is not None:
        part |= {"lastState": {"terminated": {**last, "startedAt": now, "finishedAt": now}}}
    containers = [
        {**container_status(pod, container), **part, "restartCount": restarts}
        for container in pod["spec"]["containers"]
    ]
    return {
        "phase": "Running",
        **addresses(ip, now),
        **conditions(pod, now, ready=ready),
        "containerStatuses": containers,
    }


def waiting(pod: Pod, ip: str, now: str, reason: str, message: str) -> Status:
    """Return the status of a pod whose first container cannot start."""
    state = {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}
    return not_running(pod, ip, now, phase="Pending", containerID="", state=state)


def crashing(pod: Pod, ip: str, now: str, last: dict[str, Any], restarts: int) -> Status:
    """Return the status of a pod whose first container ends again and again, while the kubelet waits."""
    first, *_ = pod["spec"]["containers"]
    name = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}({pod['metadata']['uid']})"
    back_off = f"back-off 5m0s restarting failed container={first['name']} pod={name}"
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": back_off}}
    last_state = {"terminated": {"startedAt": now, "finishedAt": now, **last}}
    return not_running(pod, ip, now, phase="Running", restartCount=restarts, state=state, lastState=last_state)


def has_ended(pod: Pod, ip: str, now: str, last: dict[str, Any], restarts: int) -> Status:
    """Return the status of the same pod before the kubelet has decided to wait."""
    state = {"terminated": {"startedAt": now, "finishedAt": now, **last}}
    return not_running(pod, ip, now, phase="Running", restartCount=restarts, state=state)


def failed(pod: Pod, ip: str, now: str, reason: str, message: str) -> Status:
    """Return the status of a pod that the kubelet ended for good."""
    last = {"terminated": {"exitCode": 137, "reason": "Error", "startedAt": now, "finishedAt": now}}
    found = not_running(pod, ip, now, phase="Failed", reason=POD_FAILED, state=last)
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message}
    return {
        **found,
        "reason": reason,
        "message": message,
        "conditions": [*found["conditions"], {**disrupted, "lastTransitionTime": now}],
    }


def not_running(pod: Pod, ip: str, now: str, phase: str, reason: str = NOT_READY, **container: Any) -> Status:
    """Return the status of a pod whose first container does not run; ``reason`` is why it is not ready."""
    first, *_ = pod["spec"]["containers"]
    status = {**container_status(pod, first), "ready": False, "started": False, **container}
    parts = conditions(pod, now, ready=False, reason=reason)
    return {"phase": phase, **addresses(ip, now), **parts, "containerStatuses": [status]}


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


def conditions(pod: Pod, now: str, *, ready: bool, reason: str = NOT_READY) -> Status:
    """Return the conditions of a pod that has been given to a node."""
    state = {"status": "True"}
    if not ready:
        state = {"status": "False", "reason": reason}
        if reason == NOT_READY:
            names = " ".join(container["name"] for container in pod["spec"]["containers"])
            state["message"] = f"containers with unready status: [{names}]"
    parts = {"PodScheduled": {"status": "True"}, "Initialized": {"status": "True"}}
    parts |= {"ContainersReady": state, "Ready": state}
    return {"conditions": [{"type": kind, "lastTransitionTime": now, **part} for kind, part in parts.items()]}


def keep_times(status: Status, before: Iterable[dict[str, Any]]) -> Status:
    """Return the status with the times of those conditions of ``before`` that have not turned since."""
    since = {(c["type"], c["status"]): c["lastTransitionTime"] for c in before if c.get("lastTransitionTime")}
    kept = [
        {
            **condition,
            "lastTransitionTime": since.get((condition["type"], condition["status"]), condition["lastTransitionTime"]),
        }
        for condition in status["conditions"]
    ]
    return {**status, "conditions": kept}
