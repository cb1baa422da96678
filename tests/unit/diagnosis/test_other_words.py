"""What scheduler, kubelet and API server say, in the words of Kubernetes 1.36 and containerd; and a log that loads."""

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import LoadingStep
from rerank_operator.diagnosis.admission_words import read_rejection
from rerank_operator.diagnosis.kubelet_words import (
    read_config_error,
    read_create_error,
    read_event,
    read_eviction,
    read_pull,
)
from rerank_operator.diagnosis.progress_words import read_progress
from rerank_operator.diagnosis.scheduler_words import read_unschedulable
from tests.doubles.pod_status import NO_DEVICE, NO_DEVICE_CLASS

NOBODY = "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
IN_USE = "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
SCHEDULER: dict[str, tuple[str, Reason, str]] = {
    "none has a GPU": (
        f"0/2 nodes are available: 2 Insufficient nvidia.com/gpu. {NOBODY}",
        Reason.ACCELERATOR_MISSING,
        "No node has that many nvidia.com/gpu",
    ),
    "all GPUs in use": (
        f"0/2 nodes are available: 2 Insufficient nvidia.com/gpu. {IN_USE}",
        Reason.ACCELERATOR_MISSING,
        "All nvidia.com/gpu are in use",
    ),
    "a slice of a GPU": (
        "0/1 nodes are available: 1 Insufficient nvidia.com/mig-1g.10gb.",
        Reason.ACCELERATOR_MISSING,
        "No node has a free nvidia.com/mig-1g.10gb",
    ),
    "another vendor": (
        f"0/2 nodes are available: 2 Insufficient amd.com/gpu. {IN_USE}",
        Reason.ACCELERATOR_MISSING,
        "All amd.com/gpu are in use",
    ),
    "a part of a GPU by another name": (
        "0/1 nodes are available: 1 Insufficient amd.com/cpx_nps4, 1 Insufficient cpu.",
        Reason.ACCELERATOR_MISSING,
        "No node has a free amd.com/cpx_nps4",
    ),
    "the older driver of Intel": (
        f"0/2 nodes are available: 2 Insufficient gpu.intel.com/i915. {NOBODY}",
        Reason.ACCELERATOR_MISSING,
        "No node has that many gpu.intel.com/i915",
    ),
    "Gaudi": (
        "0/1 nodes are available: 1 Insufficient habana.ai/gaudi.",
        Reason.ACCELERATOR_MISSING,
        "habana.ai/gaudi",
    ),
    "TPU": ("0/1 nodes are available: 1 Insufficient google.com/tpu.", Reason.ACCELERATOR_MISSING, "google.com/tpu"),
    "a resource that is no accelerator": (
        "0/1 nodes are available: 1 Insufficient nvidia.com/rdma.",
        Reason.UNSCHEDULABLE,
        "No node has enough nvidia.com/rdma free",
    ),
    "no device for a claim": (
        NO_DEVICE,
        Reason.ACCELERATOR_MISSING,
        "No node has free devices for spec.accelerator.claims",
    ),
    "no class of devices": (
        NO_DEVICE_CLASS,
        Reason.ACCELERATOR_MISSING,
        "A claim asks for the DeviceClass gpu.example.com, which does not exist",
    ),
    "processors and memory": (
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
        Reason.UNSCHEDULABLE,
        "No node has enough cpu and memory free",
    ),
    "selector": (
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        Reason.UNSCHEDULABLE,
        "No node matches spec.scheduling.nodeSelector",
    ),
    "taint": (
        "0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: search}.",
        Reason.UNSCHEDULABLE,
        "Nodes have the taint {dedicated: search} that spec.scheduling.tolerations does not tolerate",
    ),
    "taint and selector": (
        (
            "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated "
            "taint(s)."
        ),
        Reason.UNSCHEDULABLE,
        "; Nodes have the taint that",
    ),
    "claim": ('0/1 nodes are available: persistentvolumeclaim "models" not found.', Reason.VOLUME_UNBOUND, "models"),
    "unbound": (
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        Reason.VOLUME_UNBOUND,
        "unbound",
    ),
    "volume elsewhere": (
        "0/1 nodes are available: 1 node(s) had volume node affinity conflict.",
        Reason.UNSCHEDULABLE,
        "The volume belongs to another node",
    ),
    "full": ("0/1 nodes are available: 1 Too many pods.", Reason.UNSCHEDULABLE, "as many pods as they may"),
    "something new": ("0/1 nodes are available: 1 node(s) were sad.", Reason.UNSCHEDULABLE, "The scheduler says: 0/1"),
}


@pytest.mark.parametrize(("message", "reason", "seen"), SCHEDULER.values(), ids=SCHEDULER)
def test_why_no_node_takes_a_pod(message: str, reason: Reason, seen: str) -> None:
    found, said = read_unschedulable(message)

    assert reason is found
    assert seen in said
    assert said.endswith(f"The scheduler says: {message}")


DENIED = (
    'failed to pull and unpack image "ghcr.io/a/b:1": failed to authorize: '
    "failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized"
)
PULLS: dict[str, tuple[str, str]] = {
    "credentials": (DENIED, "The registry wants other credentials"),
    "private": (
        "pull access denied, repository does not exist or may require authorization: authorization failed",
        "The registry wants other credentials",
    ),
    "tag": (
        (
            'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/vllm/vllm-openai:v9": '
            "docker.io/vllm/vllm-openai:v9: not found"
        ),
        "There is no such image",
    ),
    "never pulled": ('Container image "x:1" is not present with pull policy of Never', "There is no such image"),
    "name of the registry": (
        'failed to do request: Head "https://nowhere/v2/": dial tcp: lookup nowhere: no such host',
        "The registry cannot be reached",
    ),
    "time": ("dial tcp 192.0.2.1:443: i/o timeout", "The registry cannot be reached"),
    "certificate": ("tls: failed to verify certificate: x509: unknown authority", "The registry cannot be reached"),
}


@pytest.mark.parametrize(("message", "sentence"), PULLS.values(), ids=PULLS)
def test_why_an_image_is_not_there_and_both_states_read_alike(message: str, sentence: str) -> None:
    pulling = read_pull("ErrImagePull", message)
    waiting = read_pull("ImagePullBackOff", f'Back-off pulling image "x": ErrImagePull: {message}')

    assert pulling == waiting
    assert (Reason.IMAGE_PULL_FAILED, True) == (pulling[0], pulling[1].startswith(f"{sentence}. The kubelet says: "))


def test_a_wrong_name_of_an_image_is_told() -> None:
    said = read_pull("InvalidImageName", 'Failed to apply default image tag "A B": invalid reference format')[1]

    assert said.startswith("That is no name of an image. ")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('secret "hf" not found', Reason.SECRET_MISSING),
        ("couldn't find key token in Secret search/hf", Reason.SECRET_KEY_MISSING),
        ('configmap "settings" not found', Reason.POD_REJECTED),
        ("container has runAsNonRoot and image will run as root", Reason.POD_REJECTED),
    ],
)
def test_what_a_container_refers_to_and_is_not_there(message: str, reason: Reason) -> None:
    assert (reason, f"The kubelet says: {message}") == read_config_error(message)


TOOLKIT = "failed to create containerd task: OCI runtime create failed: error running hook: nvidia-container-cli: "
CREATE: dict[str, tuple[str, Reason]] = {
    "old driver": (f"{TOOLKIT}requirement error: unsatisfied condition: cuda>=12.8", Reason.DRIVER_TOO_OLD),
    "no driver": (f"{TOOLKIT}initialization error: nvml error: driver not loaded", Reason.ACCELERATOR_MISSING),
    "no vLLM": ('exec: "vllm": executable file not found in $PATH: unknown', Reason.BAD_ENGINE_ARGUMENT),
    "anything else": ("failed to create shim task: context deadline exceeded", Reason.CRASH_LOOPING),
}


@pytest.mark.parametrize(("message", "reason"), CREATE.values(), ids=CREATE)
def test_why_a_container_cannot_be_made(message: str, reason: Reason) -> None:
    found, said = read_create_error(message)

    assert reason is found
    assert message[:60] in said


EVENTS: dict[str, tuple[str, str, Reason]] = {
    "Secret": (
        "FailedMount",
        'MountVolume.SetUp failed for volume "keys" : secret "k" not found',
        Reason.SECRET_MISSING,
    ),
    "claim": ("FailedMount", 'persistentvolumeclaim "models" not found', Reason.VOLUME_UNBOUND),
    "two nodes": (
        "FailedAttachVolume",
        'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) other',
        Reason.VOLUME_MOUNT_FAILED,
    ),
    "network": ("FailedCreatePodSandBox", "plugin type=calico failed (add): no addresses", Reason.POD_REJECTED),
}


@pytest.mark.parametrize(("event", "message", "reason"), EVENTS.values(), ids=EVENTS)
def test_why_a_pod_waits_for_its_volumes_or_its_network(event: str, message: str, reason: Reason) -> None:
    assert reason is read_event(event, message)[0]


def test_the_number_of_a_try_does_not_change_what_is_said() -> None:
    said = [read_event("FailedMount", f"timed out waiting after {seconds}") for seconds in ("2m0.1s", "2m0.3s")]

    assert said[0] == said[1]


def test_an_eviction_says_what_ran_short() -> None:
    message = "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi."

    assert (Reason.EVICTED, f"The kubelet says: {message}") == read_eviction(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "x" is forbidden: violates PodSecurity "restricted"', Reason.POD_SECURITY_FORBIDDEN),
        ('pods "x" is forbidden: exceeded quota: none', Reason.QUOTA_EXCEEDED),
        ("unable to create new content in namespace a because it is being terminated", Reason.NAMESPACE_TERMINATING),
        ("admission webhook says no", Reason.POD_REJECTED),
    ],
)
def test_why_the_api_server_refuses_a_pod(message: str, reason: Reason) -> None:
    assert (reason, f"The API server says: {message}") == read_rejection(message)


LOGS: dict[str, tuple[str, tuple[LoadingStep, str] | None]] = {
    "nothing yet": ("INFO 11-25 12:00:00 [api_server.py:1] vLLM API server version 0.32.0\n", None),
    "a download": (
        "downloaded 0 % of 2.27 GB\ndownloaded 45 % of 2.27 GB\n",
        (LoadingStep.DOWNLOADING_MODEL, "40 % of 2.27 GB"),
    ),
    "parts": (
        "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01,  1.00s/it]\n",
        (LoadingStep.LOADING_MODEL, "50 % of 2 parts"),
    ),
    "loading": ("[gpu_model_runner.py:1] Starting to load model x...\n", (LoadingStep.LOADING_MODEL, "")),
    "compiling": (
        "Loading weights took 3.1 seconds\nStart compiling function with torch.compile\n",
        (LoadingStep.WARMING_UP, ""),
    ),
    "graphs": ("Capturing CUDA graphs (PIECEWISE):  30%|###   | 20/67 [00:01<00:02]", (LoadingStep.WARMING_UP, "")),
}


@pytest.mark.parametrize(("log", "told"), LOGS.values(), ids=LOGS)
def test_the_newest_telling_line_of_a_log_says_how_far_an_engine_is(
    log: str, told: tuple[LoadingStep, str] | None
) -> None:
    assert told == read_progress(log)


def test_a_download_is_written_in_tenths_only() -> None:
    lines = [f"downloaded {percent} % of 2.27 GB" for percent in range(101)]

    assert 11 == len({read_progress(line) for line in lines})
