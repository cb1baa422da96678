"""Two rerankers and one accelerator on the real node: the second waits with a reason, or both share it.

The node has no accelerator: it is told to offer the resources that NVIDIA's device plugin offers for a slice of a GPU
(MIG) and for a GPU that is given to two pods in turn (time-slicing). The scheduler and the kubelet count them for real.
"""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from rerank_operator.api.reasons import Reason
from tests.node.conftest import MINUTE, Demo, Object
from tests.node.test_faults_are_named import LOOK_SELDOM, MODEL_STARTS_IN, ONE_FREE_THREAD, apply, the_model, the_pod
from tests.produces import produces

pytestmark = [pytest.mark.node, pytest.mark.timeout(1800)]

SLICE: Final = "nvidia.com/mig-1g.10gb"
IN_TURN: Final = "nvidia.com/gpu.shared"
OFFERED: Final = {SLICE: "1", IN_TURN: "2"}


@pytest.fixture(scope="module")
def shared(demo: Demo) -> Iterator[Demo]:
    """The demo on a node that offers the resources."""
    node = demo.cluster.kubectl("get", "nodes", "--output=name").strip()
    patch_status(demo, node, OFFERED)
    demo.wait_until(lambda: offered(demo, node) == OFFERED, MINUTE)
    yield demo
    patch_status(demo, node, dict.fromkeys(OFFERED))


def patch_status(demo: Demo, node: str, resources: dict[str, str] | dict[str, None]) -> None:
    """Add extended resources to a node's status, or take those away whose value is None."""
    patch = json.dumps({"status": {"capacity": resources}})
    demo.cluster.kubectl("patch", node, "--subresource=status", "--type=merge", f"--patch={patch}")


def offered(demo: Demo, node: str) -> dict[str, str]:
    """What pods may take of the resources, as the kubelet says it."""
    allocatable = json.loads(demo.cluster.kubectl("get", node, "--output=json"))["status"]["allocatable"]
    return {name: allocatable.get(name, "0") for name in OFFERED}


def on_the_accelerator(resource: str) -> Object:
    """A reranker that asks for a GPU's resource, with the vLLM that runs here: the one for processors."""
    env = [*ONE_FREE_THREAD, {"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"}]
    spec = the_model(engine={"args": ["--enforce-eager"], "env": env, "dtype": "float32"})
    return {**spec, "accelerator": {"type": "NvidiaGPU", "resourceName": resource}}


@produces(Reason.ACCELERATOR_MISSING, by="node")
def test_the_second_reranker_waits_for_the_slice_that_the_first_one_holds(shared: Demo) -> None:
    apply(shared, "first", on_the_accelerator(SLICE))
    shared.wait_until(lambda: node_of(shared, "first"), MINUTE)
    apply(shared, "second", on_the_accelerator(SLICE))

    shared.wait_until(lambda: shared.ready("second")["reason"] == Reason.ACCELERATOR_MISSING.value, MINUTE)
    assert SLICE in shared.ready("second")["message"]
    assert not node_of(shared, "second")

    # As soon as the first one is gone, the second one takes its place.
    shared.kubectl("delete", "rrs", "first")
    shared.wait_until(lambda: node_of(shared, "second"), 3 * MINUTE)
    shared.kubectl("delete", "rrs", "second")


def test_two_rerankers_share_a_gpu_that_is_given_to_both_in_turn(shared: Demo) -> None:
    for name in ("first", "second"):
        apply(shared, name, on_the_accelerator(IN_TURN))
    for name in ("first", "second"):
        shared.wait_until(lambda: shared.ready(name)["status"] == "True", MODEL_STARTS_IN, LOOK_SELDOM)  # noqa: B023
    shared.kubectl("delete", "rrs", "first", "second")


def node_of(demo: Demo, name: str) -> str:
    """The node that the pod of a reranker was given to; empty while it waits."""
    pod = the_pod(demo, name)
    return demo.kubectl("get", "pod", pod, "--output=jsonpath={.spec.nodeName}") if pod else ""
