"""Faults by what kubelet, scheduler and vLLM were seen to say."""

import dataclasses
import json
from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.controller.diagnose import diagnose, needs_events, needs_log
from rerank_operator.controller.pods import Pod, Said
from tests.builders import AT, NOW, a_pod

CASES: dict[str, tuple[Reason, dict[str, Any]]] = {
    "image": (Reason.IMAGE_PULL_FAILED, {"waiting": {"reason": "ImagePullBackOff", "message": "x: ErrImagePull: no"}}),
    "local image": (Reason.IMAGE_PULL_FAILED, {"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}}),
    "secret": (
        Reason.SECRET_MISSING,
        {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "hf" not found'}},
    ),
    "key": (
        Reason.SECRET_KEY_MISSING,
        {"waiting": {"reason": "CreateContainerConfigError", "message": "couldn't find key token in Secret a/hf"}},
    ),
    "gated or misspelt": (
        Reason.MODEL_NOT_FOUND,
        {"terminated": {"exitCode": 1, "message": "OSError: x is not a valid model identifier listed on"}},
    ),
    "folder": (
        Reason.MODEL_NOT_FOUND,
        {"terminated": {"exitCode": 1, "message": "ensure the presence of a 'config.json' file"}},
    ),
    "flag": (Reason.BAD_ENGINE_ARGUMENT, {"terminated": {"exitCode": 2, "message": "vllm serve: error: no --x"}}),
    "no guard": (
        Reason.GUARD_FAILED,
        {"terminated": {"exitCode": 1, "message": "ModuleNotFoundError: No module named 'rerank_guard'"}},
    ),
    "guard refuses": (
        Reason.GUARD_FAILED,
        {"terminated": {"exitCode": 3, "message": "ERROR: rerank_guard: RERANK_GUARD_KEYS_DIR='' is not a folder"}},
    ),
    "guard ran and the engine ended": (
        Reason.CRASH_LOOPING,
        {"terminated": {"exitCode": 0, "message": "rerank_guard: drained: 0 in flight"}},
    ),
    "anything else": (Reason.CRASH_LOOPING, {"terminated": {"exitCode": 0, "message": "", "reason": "Completed"}}),
}


@pytest.mark.parametrize(("reason", "state"), CASES.values(), ids=CASES)
def test_a_container_state_names_its_fault(reason: Reason, state: dict[str, Any]) -> None:
    pod = a_pod("r", ready=False, containerStatuses=[{"name": "vllm", "state": state}])

    assert reason is (diagnose([pod], None) or (None,))[0]


def test_a_container_that_runs_again_still_tells_why_it_ended() -> None:
    last = {"terminated": {"exitCode": 1, "reason": "Error", "message": "ValueError: no memory"}}
    pod = a_pod("r", ready=False, containerStatuses=[{"name": "vllm", "state": {"running": {}}, "lastState": last}])

    assert (Reason.CRASH_LOOPING, "The engine ended (Error, exit code 1): ValueError: no memory") == diagnose(
        [pod], None
    )


def test_two_runs_that_fail_alike_read_alike() -> None:
    texts = [
        f"(EngineCore pid={pid}) ERROR 11-24 12:00:0{pid} [core.py:1] RuntimeError: object at 0x{pid}af broke"
        for pid in (1, 2)
    ]
    pods = [
        a_pod("r", ready=False, containerStatuses=[{"state": {"terminated": {"exitCode": 1, "message": text}}}])
        for text in texts
    ]

    assert diagnose([pods[0]], None) == diagnose([pods[1]], None)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", Reason.ACCELERATOR_MISSING),
        ("0/1 nodes are available: 1 Insufficient cpu.", Reason.UNSCHEDULABLE),
        ('0/1 nodes: persistentvolumeclaim "models" not found.', Reason.VOLUME_UNBOUND),
        ("0/1 nodes: pod has unbound immediate PersistentVolumeClaims.", Reason.VOLUME_UNBOUND),
    ],
)
def test_the_scheduler_is_quoted(message: str, reason: Reason) -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]

    fault = diagnose([a_pod("r", ready=False, conditions=conditions)], None)

    assert fault is not None
    assert reason is fault[0]
    assert fault[1].endswith(f"The scheduler says: {message}")


def test_a_claim_that_is_not_there_is_named_because_the_scheduler_says_nothing() -> None:
    waiting = dataclasses.replace(a_pod("r", ready=False, conditions=[]), claims=("gpu",))
    scheduled = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": NOW}]
    placed = dataclasses.replace(a_pod("r", ready=False, conditions=scheduled), claims=("gpu",))

    assert None is diagnose([waiting], None, at=AT + 14)
    reason, seen = diagnose([waiting], None, at=AT + 15) or (None, "")
    assert Reason.ACCELERATOR_MISSING is reason
    assert "(spec.accelerator.claims: gpu)" in seen
    assert None is diagnose([placed], None, at=AT + 15)
    assert None is diagnose([dataclasses.replace(waiting, claims=())], None, at=AT + 15)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: violates PodSecurity "restricted"', Reason.POD_SECURITY_FORBIDDEN),
        ('pods "x" is forbidden: exceeded quota: none', Reason.QUOTA_EXCEEDED),
        ("admission webhook says no", Reason.POD_REJECTED),
    ],
)
def test_a_refused_pod_is_told_from_its_deployment(message: str, reason: Reason) -> None:
    deployment = {"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}]}}

    assert (reason, f"The API server says: {message}") == diagnose([], deployment)


def test_a_pod_that_simply_starts_has_no_fault() -> None:
    starting = a_pod("r", ready=False, containerStatuses=[{"state": {"waiting": {"reason": "ContainerCreating"}}}])

    assert diagnose([starting, a_pod("r")], {"status": {}}) is None


# The probe fails since the engine runs: it was ready in between.
NO_LONGER_READY = {"type": "Ready", "status": "False", "lastTransitionTime": NOW}


def running(started_at: str, *, started: bool, last: dict[str, Any] | None = None) -> Pod:
    state = {"running": {"startedAt": started_at}}
    status = {"name": "vllm", "started": started, "state": state, "lastState": {"terminated": last} if last else {}}
    return a_pod("r", ready=False, conditions=[NO_LONGER_READY], containerStatuses=[status])


def test_a_pod_that_loads_is_late_only_after_its_startup_time() -> None:
    assert None is diagnose([running(NOW, started=False)], None, 600, AT + 599)
    assert Reason.STARTUP_TIMEOUT is (diagnose([running(NOW, started=False)], None, 600, AT + 600) or (None,))[0]


def test_a_pod_that_had_started_is_never_late_but_does_not_answer() -> None:
    fault = diagnose([running(NOW, started=True)], None, 600, AT + 6000)

    assert (Reason.ENGINE_UNRESPONSIVE, "The engine of pod pod-1 runs, and its readiness probe fails") == fault


def test_a_container_that_the_kubelet_ended_for_being_late_says_so_while_it_tries_again() -> None:
    last = {"exitCode": 137, "startedAt": "2026-11-24T11:49:00Z", "finishedAt": "2026-11-24T11:59:30Z"}

    assert Reason.STARTUP_TIMEOUT is (diagnose([running(NOW, started=False, last=last)], None, 600, AT) or (None,))[0]


def test_a_pod_without_a_running_container_is_late_too() -> None:
    creating = {"name": "vllm", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = a_pod("r", ready=False, containerStatuses=[creating])

    assert None is diagnose([pod], None, 600, AT + 599)
    assert Reason.STARTUP_TIMEOUT is (diagnose([pod], None, 600, AT + 600) or (None,))[0]


def with_container(**status: Any) -> Pod:
    """A pod that is not ready, and its container."""
    return a_pod("r", ready=False, containerStatuses=[{"name": "vllm", "started": False, **status}])


def ended(code: int = 1, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


CORE_FAILED = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


def test_a_crash_loop_is_the_same_fault_in_all_its_hundred_states() -> None:
    last = ended(1, "PermissionError: [Errno 13] Permission denied: '/models/m/model.safetensors'")
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting"}}
    states = [last, back_off, {"running": {"startedAt": NOW}}]
    pods = [
        with_container(state=states[turn % 3], lastState={} if turn % 3 == 0 else last, restartCount=turn // 3)
        for turn in range(100)
    ]

    assert 1 == len({diagnose([pod], None, 600, AT) for pod in pods})
    assert Reason.MODEL_UNREADABLE is (diagnose([pods[0]], None, 600, AT) or (None,))[0]


def test_a_failed_pull_is_the_same_fault_in_both_its_states() -> None:
    cause = 'failed to resolve reference "x": x: not found'
    states = [
        {"waiting": {"reason": "ErrImagePull", "message": cause}},
        {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "x": ErrImagePull: {cause}'}},
    ]

    assert 1 == len({diagnose([with_container(state=states[turn % 2])], None, 600, AT) for turn in range(100)})


def test_an_engine_that_was_killed_for_its_memory_is_told_whatever_its_exit_code() -> None:
    for last in (ended(137, reason="OOMKilled"), ended(1, reason="OOMKilled"), ended(137)):
        fault = diagnose([with_container(state=last)], None)
        assert fault is not None
        assert Reason.OUT_OF_MEMORY is fault[0]


def test_the_log_is_asked_for_and_believed_where_the_kubelets_message_does_not_tell() -> None:
    untold, told = with_container(state=ended(1, CORE_FAILED)), with_container(state=ended(2, "vllm: error: --x"))
    cause = "(EngineCore pid=1) ERROR 11-25 12:00:00 [core.py:1] OSError: [Errno 28] No space left on device"
    log = f"{cause}\n{CORE_FAILED}"

    assert (True, False) == (needs_log(untold), needs_log(told))
    assert Reason.CRASH_LOOPING is (diagnose([untold], None) or (None,))[0]
    assert Reason.DISK_FULL is (diagnose([untold], None, logs={untold.uid: log}) or (None,))[0]


def test_how_an_engine_ended_is_history_once_it_has_started_again() -> None:
    state = {"running": {"startedAt": NOW}}
    containers = [{"started": True, "state": state, "lastState": ended(1, "x")}]
    pod = a_pod("r", ready=False, conditions=[NO_LONGER_READY], containerStatuses=containers)

    assert Reason.ENGINE_UNRESPONSIVE is (diagnose([pod], None) or (None,))[0]
    assert not needs_log(pod)


def test_a_pod_that_has_just_started_is_not_accused_before_its_first_readiness_probe() -> None:
    state = {"started": True, "state": {"running": {"startedAt": NOW}}}
    since_creation = {**NO_LONGER_READY, "lastTransitionTime": "2026-11-24T11:59:00Z"}

    assert None is diagnose([a_pod("r", ready=False, conditions=[since_creation], containerStatuses=[state])], None)


LOST = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]


def test_a_node_is_lost_when_only_the_node_controller_says_that_the_pod_is_not_ready() -> None:
    state = {"started": True, "state": {"running": {"startedAt": NOW}}}

    assert (
        Reason.NODE_LOST
        is (diagnose([a_pod("r", ready=False, conditions=LOST, containerStatuses=[state])], None) or (None,))[0]
    )


def test_a_readiness_gate_is_no_lost_node() -> None:
    gated = [{**NO_LONGER_READY, "reason": "ReadinessGatesNotReady"}, LOST[1]]
    state = {"started": True, "state": {"running": {"startedAt": NOW}}}

    assert (
        Reason.ENGINE_UNRESPONSIVE
        is (diagnose([a_pod("r", ready=False, conditions=gated, containerStatuses=[state])], None) or (None,))[0]
    )


def test_an_evicted_pod_says_what_ran_short() -> None:
    pod = a_pod("r", ready=False, phase="Failed", reason="Evicted", message="The node was low on resource: memory.")

    assert (Reason.EVICTED, "The kubelet says: The node was low on resource: memory.") == diagnose([pod], None)


CREATING = {"name": "vllm", "started": False, "state": {"waiting": {"reason": "ContainerCreating"}}}


def test_what_keeps_a_pod_from_its_volumes_is_in_its_newest_event() -> None:
    pod = a_pod("r", ready=False, containerStatuses=[CREATING])
    mount = Said(AT + 5, "FailedMount", 'MountVolume.SetUp failed for volume "keys" : secret "k" not found')

    assert (False, True) == (needs_events(pod, AT + 14), needs_events(pod, AT + 15))
    assert None is diagnose([pod], None, 600, AT + 20)
    assert Reason.SECRET_MISSING is (diagnose([pod], None, 600, AT + 20, {pod.uid: (mount,)}) or (None,))[0]
    pulls = Said(AT + 10, "Pulling", "Pulling image")
    assert None is diagnose([pod], None, 600, AT + 20, {pod.uid: (mount, pulls)})


# What a kubelet writes of an engine that has to wait for the steps before it.
INITIALIZING = {"name": "vllm", "started": False, "state": {"waiting": {"reason": "PodInitializing"}}}
BACK_OFF = {
    "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s restarting failed container=check-model"}
}
RUNS = {"running": {"startedAt": NOW}}
MISMATCH = json.dumps({"reason": "ModelMismatch", "detail": "config.json says BertModel, and m is a BertForX"})


def preparing(*steps: dict[str, Any]) -> Pod:
    """A pod whose init containers have these statuses; the kubelet says of one that runs that it has started."""
    said = {"name": "check-model", "ready": False, "restartCount": 0}
    named = [{**said, "started": "running" in step["state"], **step} for step in steps]
    return a_pod("r", ready=False, initContainerStatuses=named, containerStatuses=[INITIALIZING])


def fault_of(*steps: dict[str, Any]) -> tuple[Reason, str] | None:
    return diagnose([preparing(*steps)], None, 600, AT + 60)


def test_a_step_that_runs_or_waits_or_has_ended_well_is_no_fault() -> None:
    waits = {"state": {"waiting": {"reason": "PodInitializing"}}}
    well = {"state": ended(0, json.dumps({"family": "bert", "warning": "x"}), "Completed"), "ready": True}

    assert None is fault_of({"state": RUNS}, waits)
    assert None is fault_of(well, waits)
    assert None is fault_of({**well, "lastState": ended(1, MISMATCH)}, well)


def test_a_step_that_refuses_the_model_says_why_in_all_states_of_its_tries() -> None:
    refused = ended(1, MISMATCH)
    tries = [{"state": refused}, {"state": BACK_OFF, "lastState": refused}, {"state": RUNS, "lastState": refused}]

    assert 1 == len({fault_of(step) for step in tries})
    assert (Reason.MODEL_MISMATCH, "config.json says BertModel, and m is a BertForX") == fault_of(tries[0])


def test_a_step_that_crashed_says_how() -> None:
    trace = "Traceback (most recent call last):\n  File x\nKeyError: 'folder'"

    seen = "check-model ended (Error, exit code 1): KeyError: 'folder'"
    assert (Reason.CRASH_LOOPING, seen) == fault_of({"state": ended(1, trace)})
    assert (Reason.CRASH_LOOPING, "check-model ended (Error, exit code 1): it said nothing") == fault_of(
        {"state": BACK_OFF, "lastState": ended(1)}
    )


def test_a_step_that_was_killed_for_its_memory_is_told() -> None:
    seen = "check-model ended (OOMKilled, exit code 137): it used more memory than its limit"
    assert (Reason.OUT_OF_MEMORY, seen) == fault_of({"state": ended(137, "", "OOMKilled")})


def test_a_step_whose_image_or_program_or_secret_is_missing_is_told_as_that_of_an_engine_is() -> None:
    pull = {"waiting": {"reason": "ImagePullBackOff", "message": "x: ErrImagePull: x: not found"}}
    secret = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "hf" not found'}}
    program = ended(128, 'exec: "python3": executable file not found in $PATH', "StartError")

    assert Reason.IMAGE_PULL_FAILED is (fault_of({"state": pull}) or (None,))[0]
    assert Reason.SECRET_MISSING is (fault_of({"state": secret}) or (None,))[0]
    assert Reason.BAD_ENGINE_ARGUMENT is (fault_of({"state": program}) or (None,))[0]


def test_a_sidecar_of_the_user_that_runs_again_is_no_fault() -> None:
    crashed = {"name": "proxy", "state": RUNS, "lastState": ended(1, "once")}

    assert None is fault_of({**crashed, "started": True})
    assert (Reason.CRASH_LOOPING, "proxy ended (Error, exit code 1): once") == fault_of({**crashed, "started": False})


def test_the_step_that_failed_is_told_whatever_came_before_it() -> None:
    fetched = {"name": "fetch-model", "state": ended(0, "", "Completed"), "ready": True}

    assert Reason.MODEL_MISMATCH is (fault_of(fetched, {"state": ended(1, MISMATCH)}) or (None,))[0]
