"""What a person reads in `kubectl describe` when a model pod does not come up, or goes down.

The statuses and Events are those of a real kubelet, played by the puppet; tests/node has the real one for some.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.doubles import pod_status
from tests.doubles.pod_status import Behaviour
from tests.functional.world import World, a_reranker, running_world
from tests.produces import produces

# The words of vLLM 0.32, huggingface_hub and torch. tests/engine_real has vLLM say those that need no GPU.
MODEL_FOLDER_MISSING = (
    "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': "
    "'/models/nowhere'. Use `repo_type` argument if needed."
)
GATED = (
    "OSError: You are trying to access a gated repo.\n"
    "Make sure to have access to it at https://huggingface.co/some-org/gated.\n403 Client Error.\n\n"
    "Cannot access gated repo for url https://huggingface.co/some-org/gated/resolve/main/config.json.\n"
)
HUB_SILENT = (
    "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the cached "
    "files.\nCheck your internet connection or see how to run the library in offline mode at "
    "'https://huggingface.co/docs/transformers/installation#offline-mode'."
)
DRIVER_TOO_OLD = (
    "RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update your GPU driver by "
    "downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx Alternatively, "
    "go to: https://pytorch.org to install a PyTorch version that has been compiled with your version of the CUDA "
    "driver."
)
OUT_OF_GPU_MEMORY = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 0 has a total capacity of 14.56 GiB "
    "of which 321.81 MiB is free."
)
NO_BFLOAT16 = (
    "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has "
    "compute capability 7.5. You can use float16 instead by explicitly setting the `dtype` flag in CLI, for example: "
    "--dtype=half."
)
STORAGE = "ephemeral-storage"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What becomes of a pod, the reason that is told, and words that must be in its message."""

    behaviour: Callable[[], Behaviour]
    reason: Reason
    seen: str
    by: str = "recorded status"
    seconds: float = 20.0


def crash(message: str, exit_code: int = 1) -> Callable[[], Behaviour]:
    return lambda: pod_status.crash_loop(message, exit_code=exit_code)


def pull(error: str) -> Callable[[], Behaviour]:
    return lambda: pod_status.image_pull_back_off(error)


def unschedulable(message: str) -> Callable[[], Behaviour]:
    return lambda: pod_status.unschedulable(message)


def config_error(message: str) -> Callable[[], Behaviour]:
    return lambda: pod_status.create_container_config_error(message)


FAULTS = {
    "no such image": Fault(pod_status.image_pull_back_off, Reason.IMAGE_PULL_FAILED, "no such image"),
    "no credentials for the registry": Fault(
        pull(pod_status.IMAGE_UNAUTHORIZED), Reason.IMAGE_PULL_FAILED, "other credentials"
    ),
    "credentials that do not suffice": Fault(
        pull(pod_status.IMAGE_FORBIDDEN), Reason.IMAGE_PULL_FAILED, "other credentials"
    ),
    "no such registry": Fault(pull(pod_status.IMAGE_HOST_UNKNOWN), Reason.IMAGE_PULL_FAILED, "cannot be reached"),
    "a registry that does not answer": Fault(
        pull(pod_status.IMAGE_HOST_SILENT), Reason.IMAGE_PULL_FAILED, "cannot be reached"
    ),
    "all GPUs in use": Fault(pod_status.unschedulable, Reason.ACCELERATOR_MISSING, "in use"),
    "no GPU anywhere": Fault(
        unschedulable(pod_status.NO_GPU_ANYWHERE), Reason.ACCELERATOR_MISSING, "Insufficient nvidia.com/gpu"
    ),
    "no node is large enough": Fault(unschedulable(pod_status.NO_CPU_ANYWHERE), Reason.UNSCHEDULABLE, "enough cpu"),
    "no node with these labels": Fault(unschedulable(pod_status.NO_NODE_MATCHES), Reason.UNSCHEDULABLE, "nodeSelector"),
    "a taint": Fault(unschedulable(pod_status.TAINTED), Reason.UNSCHEDULABLE, "spec.scheduling.tolerations"),
    "no volume claim": Fault(unschedulable(pod_status.NO_CLAIM), Reason.VOLUME_UNBOUND, '"models" not found'),
    "a volume that cannot be mounted": Fault(
        pod_status.mount_failed, Reason.VOLUME_MOUNT_FAILED, "Connection timed out", seconds=40.0
    ),
    "a volume that another node holds": Fault(
        lambda: pod_status.mount_failed(pod_status.ATTACHED_ELSEWHERE),
        Reason.VOLUME_MOUNT_FAILED,
        "Multi-Attach",
        seconds=40.0,
    ),
    "no token Secret": Fault(config_error('secret "hf" not found'), Reason.SECRET_MISSING, 'secret "hf" not found'),
    "no such key in the Secret": Fault(
        config_error("couldn't find key token in Secret search/hf"),
        Reason.SECRET_KEY_MISSING,
        "couldn't find key token",
    ),
    "killed for its memory": Fault(pod_status.out_of_memory, Reason.OUT_OF_MEMORY, "exit code 137"),
    "a child killed for its memory": Fault(
        lambda: pod_status.child_out_of_memory(
            "RuntimeError: Engine core initialization failed. See root cause above."
        ),
        Reason.OUT_OF_MEMORY,
        "exit code 1)",
    ),
    "evicted": Fault(pod_status.evicted, Reason.EVICTED, STORAGE),
    "node lost": Fault(pod_status.node_lost, Reason.NODE_LOST, "does not answer any more"),
    "started and then not ready": Fault(pod_status.not_ready_any_more, Reason.ENGINE_UNRESPONSIVE, "probe fails"),
    "no such model folder": Fault(crash(MODEL_FOLDER_MISSING), Reason.MODEL_NOT_FOUND, "/models/nowhere"),
    "a model behind a licence": Fault(crash(GATED), Reason.MODEL_GATED, "gated repo"),
    "a hub that does not answer": Fault(crash(HUB_SILENT), Reason.MODEL_DOWNLOAD_FAILED, "couldn't connect"),
    "a flag that vLLM does not know": Fault(
        crash("vllm serve: error: unrecognized arguments: --task score", 2), Reason.BAD_ENGINE_ARGUMENT, "--task score"
    ),
    "a full disk": Fault(
        crash("OSError: [Errno 28] No space left on device"), Reason.DISK_FULL, "No space left on device"
    ),
    "a taken port": Fault(
        crash("OSError: [Errno 98] Address already in use"), Reason.PORT_IN_USE, "Address already in use"
    ),
    "an engine that dies with exit code 0": Fault(
        crash("EngineDeadError: the engine core died", 0), Reason.CRASH_LOOPING, "exit code 0"
    ),
    "a driver that the container toolkit refuses": Fault(
        pod_status.start_error, Reason.DRIVER_TOO_OLD, "cuda>=12.9", "text"
    ),
    "a driver that torch refuses": Fault(crash(DRIVER_TOO_OLD), Reason.DRIVER_TOO_OLD, "12020", "text"),
    "a GPU that is too small": Fault(crash(OUT_OF_GPU_MEMORY), Reason.OUT_OF_GPU_MEMORY, "14.56 GiB", "text"),
    "a GPU that is too old": Fault(crash(NO_BFLOAT16), Reason.ACCELERATOR_UNSUPPORTED, "Tesla T4", "text"),
}
# What happens to a pod that was ready, and is not the engine's doing.
LATER = ("killed for its memory", "evicted", "node lost", "started and then not ready")


def cases(names: Iterable[str]) -> list[Any]:
    """Parameters of a test of these faults, each marked with the reason that it makes happen."""
    return [pytest.param(name, marks=produces(FAULTS[name].reason, by=FAULTS[name].by), id=name) for name in names]


@pytest.fixture(scope="module")
def shared(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all faults: each has a reranker of its own in it."""
    with running_world(control_plane, tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.fixture(scope="module")
def broken(shared: World) -> dict[str, str]:
    """By fault, the name of a reranker with it, and of its model."""
    rerankers = {fault: f"broken-{number}" for number, fault in enumerate(FAULTS)}
    for fault, name in rerankers.items():
        shared.misbehave(name, FAULTS[fault].behaviour())
    apply_all(shared, rerankers.values())
    return rerankers


@pytest.fixture(scope="module")
def serving(shared: World) -> dict[str, str]:
    """By fault that is yet to come, the name of a reranker that is Ready, and of its model."""
    rerankers = {fault: f"serving-{number}" for number, fault in enumerate(LATER)}
    apply_all(shared, rerankers.values())
    for name in rerankers.values():
        shared.wait_for_reason("Ready", name)
    return rerankers


@pytest.mark.parametrize("fault", cases(FAULTS))
def test_the_condition_names_the_fault_and_the_remedy_and_recovers(
    shared: World, broken: dict[str, str], fault: str
) -> None:
    name, expected = broken[fault], FAULTS[fault]
    ready = shared.wait_for_reason(expected.reason.value, name, expected.seconds)
    assert "False" == ready["status"]
    assert expected.seen.lower() in ready["message"].lower()
    assert MEANINGS[expected.reason].remedy in ready["message"]
    assert expected.reason.value in shared.kubectl("describe", "rrs", name).split("Events:")[1]

    shared.misbehave(name, None)
    shared.wait_for_reason("Ready", name)


@pytest.mark.parametrize("fault", cases(LATER))
def test_a_pod_that_was_ready_and_is_not_any_more_is_named_and_its_publication_stays(
    shared: World, serving: dict[str, str], fault: str
) -> None:
    name, expected = serving[fault], FAULTS[fault]
    before = shared.get("configmap", f"{name}-milvus")
    shared.misbehave(name, expected.behaviour())

    ready = shared.wait_for_reason(expected.reason.value, name)
    assert expected.seen.lower() in ready["message"].lower()
    assert before == shared.get("configmap", f"{name}-milvus")

    shared.misbehave(name, None)
    shared.wait_for_reason("Ready", name)
    assert before == shared.get("configmap", f"{name}-milvus")


def test_the_fault_of_the_newest_pod_is_told_and_not_that_of_one_that_ended_for_good(shared: World) -> None:
    name = model = "evicted"
    shared.misbehave(model, pod_status.evicted())
    shared.reranker(name, model)
    shared.wait_for_reason("Evicted", name)

    shared.misbehave(model, pod_status.image_pull_back_off())
    shared.wait_for_reason("ImagePullFailed", name)
    shared.misbehave(model, pod_status.never_ready())
    shared.wait_for_reason("EngineStarting", name)
    shared.misbehave(model, None)
    shared.wait_for_reason("Ready", name)
    assert 1 == (shared.get("rerankservice", name) or {})["status"]["replicas"]


@produces(Reason.STARTUP_TIMEOUT, by="recorded status")
def test_a_model_that_does_not_answer_within_its_startup_time_is_named_and_left_alone(shared: World) -> None:
    name = model = "late"
    shared.misbehave(model, pod_status.never_ready())
    shared.reranker(name, model, rollout={"startupTimeoutSeconds": 30})

    shared.wait_for_reason("EngineStarting", name)
    ready = shared.wait_for_reason("StartupTimeout", name, seconds=60)
    assert "No answer within 30 s" in ready["message"]
    (pod,) = shared.objects("pods", f"rerank-operator.io/reranker={name}")
    probe = pod["spec"]["containers"][0]["startupProbe"]
    assert 30 == probe["periodSeconds"] * probe["failureThreshold"]


RESYNCS = 100
SHORTEST_RESYNC_SECONDS = 1


@pytest.fixture
def restless(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world whose operator reads everything anew all the time."""
    often = {"RERANK_OPERATOR_RESYNC_SECONDS": str(SHORTEST_RESYNC_SECONDS)}
    with running_world(control_plane, tmp_path, often) as running:
        yield running


UNCHANGING: dict[str, tuple[Callable[[], Behaviour | None], Reason]] = {
    "crashes": (lambda: pod_status.restarting("EngineDeadError: the engine core died"), Reason.CRASH_LOOPING),
    "no-image": (pod_status.pull_loop, Reason.IMAGE_PULL_FAILED),
    "no-gpu": (pod_status.unschedulable, Reason.ACCELERATOR_MISSING),
    "ranks-wrong": (lambda: None, Reason.RANKING_WRONG),
}


@pytest.mark.timeout(RESYNCS * SHORTEST_RESYNC_SECONDS + 120)
def test_a_hundred_resyncs_of_what_stays_broken_write_nothing(restless: World) -> None:
    restless.engine("ranks-wrong").mode = "wrong-order"
    for name, (behaviour, _) in UNCHANGING.items():
        restless.misbehave(name, behaviour())
    apply_all(restless, UNCHANGING)
    for name, (_, reason) in UNCHANGING.items():
        restless.wait_for_reason(reason.value, name)
    versions, begun = versions_of(restless), resyncs(restless)

    deadline = time.monotonic() + RESYNCS * SHORTEST_RESYNC_SECONDS + 60
    while resyncs(restless) < begun + RESYNCS:
        assert versions == versions_of(restless)
        assert time.monotonic() < deadline
        time.sleep(1)
    assert versions == versions_of(restless)


def versions_of(world: World) -> dict[str, tuple[str, str]]:
    """By name, the reason and the version of every reranker: each write changes the version."""
    return {
        o["metadata"]["name"]: (
            next(c["reason"] for c in o["status"]["conditions"] if c["type"] == "Ready"),
            o["metadata"]["resourceVersion"],
        )
        for o in world.objects("rerankservices")
    }


def resyncs(world: World) -> int:
    """How often the operator has listed all rerankers, from the API server's audit log."""
    return sum(
        entry["verb"] == "list" and entry.get("objectRef", {}).get("resource") == "rerankservices"
        for entry in map(json.loads, world.control_plane.audit_log.read_text(encoding="utf-8").splitlines())
        if entry.get("objectRef", {}).get("namespace") == world.namespace
        and "rerank-operator" in entry.get("userAgent", "")
    )


def apply_all(world: World, names: Iterable[str]) -> None:
    """Apply rerankers with these names, and with models of the same names, at once."""
    world.apply({"apiVersion": "v1", "kind": "List", "items": [a_reranker(name, name) for name in names]})
