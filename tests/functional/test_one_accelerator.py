"""A change on the only accelerator: a real scheduler, a node with one GPU that a puppet plays.

The old pod must go before the new one can start. That happens by itself, and so does the way back.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.contract.generate import CRD_FILE
from tests.doubles.pod_status import becomes_ready, crash_loop, image_pull_back_off
from tests.functional.world import World, running_world, served_model
from tests.produces import produces

NO_MODEL = "OSError: nowhere is not a valid model identifier listed on 'https://huggingface.co/models'"
SOON = {"recreateAfterSeconds": 1}


@pytest.fixture(scope="module")
def scheduled_plane() -> Iterator[ControlPlane]:
    """A control plane whose scheduler knows only the nodes of these tests."""
    with ControlPlane(manifests=[CRD_FILE], scheduler=True) as running:
        yield running


@pytest.fixture
def one_gpu(scheduled_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world with one node that has one GPU, and on it a reranker that is Ready."""
    with running_world(scheduled_plane, tmp_path, nodes={"only": {"nvidia.com/gpu": "1"}}) as world:
        world.misbehave("model-a", becomes_ready(stop_after=1.0))
        world.reranker()
        world.wait_for_reason("Ready")
        yield world
        world.kubectl("delete", "rrs", "--all")
        world.wait_until(lambda: not world.objects("pods"))


def active(world: World) -> str:
    service = world.get("service", "bge")
    assert service is not None
    return str(service["spec"]["selector"]["rerank-operator.io/revision"])


def publication(world: World) -> object:
    published = world.get("configmap", "bge-milvus")
    assert published is not None
    return published["data"], published["metadata"]["resourceVersion"]


def reasons(world: World) -> list[str]:
    """Reasons of all Events about the reranker, in their order."""
    events = json.loads(world.kubectl("get", "events", "--sort-by=.lastTimestamp", "--output=json"))["items"]
    return [e["reason"] for e in events if e["involvedObject"]["kind"] == "RerankService"]


def test_with_auto_the_old_pod_makes_room_by_itself(one_gpu: World) -> None:
    first = active(one_gpu)
    one_gpu.reranker(model="model-b", rollout={"recreateAfterSeconds": 5})

    ready = one_gpu.wait_for_reason("AcceleratorMissing")
    assert f"Revision {first} keeps serving. If that stays so for 5 s" in ready["message"]
    one_gpu.wait_for_reason("Ready", seconds=30)
    assert first != active(one_gpu)
    assert "FreeingAccelerator" in reasons(one_gpu)
    one_gpu.wait_until(lambda: 1 == len(one_gpu.objects("deployments")))


@produces(Reason.ACCELERATOR_MISSING, by="API server")
def test_with_blue_green_the_candidate_waits_and_the_old_pod_stays(one_gpu: World) -> None:
    first = active(one_gpu)
    one_gpu.reranker(model="model-b", rollout={"strategy": "BlueGreen", **SOON})

    ready = one_gpu.wait_for_reason("AcceleratorMissing")
    assert "spec.rollout.strategy Auto or Recreate" in ready["message"]
    one_gpu.settle()
    assert first == active(one_gpu)
    assert 2 == len(one_gpu.objects("pods"))


def test_while_an_autoscaler_adds_a_node_the_old_pod_stays(one_gpu: World) -> None:
    first = active(one_gpu)
    one_gpu.reranker(model="model-b", rollout={"recreateAfterSeconds": 3})
    one_gpu.wait_for_reason("AcceleratorMissing")
    (pending,) = [p for p in one_gpu.objects("pods") if "nodeName" not in p["spec"]]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "scale-up"},
        "involvedObject": {
            "kind": "Pod",
            "name": pending["metadata"]["name"],
            "namespace": one_gpu.namespace,
            "uid": pending["metadata"]["uid"],
        },
        "reason": "TriggeredScaleUp",
        "lastTimestamp": pending["metadata"]["creationTimestamp"],
        "source": {"component": "cluster-autoscaler"},
    }
    one_gpu.apply(event)

    ready = one_gpu.wait_for_reason("WaitingForNode")
    assert f"Revision {first} keeps serving." in ready["message"]
    one_gpu.settle()
    assert 2 == len(one_gpu.objects("pods"))


def test_a_bad_candidate_gives_the_accelerator_back(one_gpu: World) -> None:
    first, before = active(one_gpu), publication(one_gpu)
    one_gpu.misbehave("model-b", crash_loop(NO_MODEL))
    one_gpu.reranker(model="model-b", rollout={"strategy": "Recreate"})

    one_gpu.wait_until(lambda: "serves again" in one_gpu.conditions()["Ready"]["message"], 30)
    ready = one_gpu.conditions()["Ready"]
    assert ("False", "ModelNotFound") == (ready["status"], ready["reason"])
    assert f"Revision {first} serves again. Change the spec" in ready["message"]
    assert (first, before) == (active(one_gpu), publication(one_gpu))
    one_gpu.settle()
    assert ["model-a"] == [served_model(pod) for pod in one_gpu.objects("pods")]


def test_a_corrected_spec_recovers_from_a_bad_candidate(one_gpu: World) -> None:
    one_gpu.misbehave("model-b", crash_loop(NO_MODEL))
    one_gpu.reranker(model="model-b", rollout={"strategy": "Recreate"})
    one_gpu.wait_until(lambda: "serves again" in one_gpu.conditions()["Ready"]["message"], 30)

    one_gpu.reranker(model="model-c", rollout={"strategy": "Recreate"})
    one_gpu.wait_for_reason("Ready", seconds=30)
    assert ["model-c"] == [served_model(pod) for pod in one_gpu.objects("pods")]


def test_deleting_the_deployment_of_a_candidate_that_failed_tries_it_again(one_gpu: World) -> None:
    one_gpu.misbehave("model-b", crash_loop(NO_MODEL))
    one_gpu.reranker(model="model-b", rollout=SOON)
    one_gpu.wait_until(lambda: "serves again" in one_gpu.conditions()["Ready"]["message"], 30)
    (failed,) = [d for d in one_gpu.objects("deployments") if 0 == d["spec"]["replicas"]]
    one_gpu.misbehave("model-b", None)
    one_gpu.kubectl("delete", "deployment", failed["metadata"]["name"])

    one_gpu.wait_for_reason("Ready", seconds=30)
    assert ["model-b"] == [served_model(pod) for pod in one_gpu.objects("pods")]


@produces(Reason.RANKING_WRONG, by="double")
def test_a_candidate_that_ranks_wrong_gives_the_accelerator_back(one_gpu: World) -> None:
    first = active(one_gpu)
    one_gpu.engine("model-b").mode = "wrong-order"
    one_gpu.reranker(model="model-b", rollout=SOON)

    one_gpu.wait_until(lambda: "serves again" in one_gpu.conditions()["Ready"]["message"], 40)
    assert ("RankingWrong", first) == (one_gpu.conditions()["Ready"]["reason"], active(one_gpu))


def test_an_edit_while_the_accelerator_is_being_freed_goes_to_the_newest_spec(one_gpu: World) -> None:
    one_gpu.misbehave("model-b", image_pull_back_off())
    one_gpu.reranker(model="model-b", rollout={"strategy": "Recreate"})
    one_gpu.wait_for_reason("ImagePullFailed")
    one_gpu.reranker(model="model-c", rollout={"strategy": "Recreate"})

    one_gpu.wait_for_reason("Ready", seconds=40)
    assert ["model-c"] == [served_model(pod) for pod in one_gpu.objects("pods")]
    assert 1 == len(one_gpu.objects("deployments"))


def test_going_back_while_the_accelerator_is_being_freed_brings_the_old_model_back(one_gpu: World) -> None:
    first = active(one_gpu)
    one_gpu.misbehave("model-b", image_pull_back_off())
    one_gpu.reranker(model="model-b", rollout={"strategy": "Recreate"})
    one_gpu.wait_for_reason("ImagePullFailed")
    one_gpu.reranker(model="model-a", rollout={"strategy": "Recreate"})

    one_gpu.wait_for_reason("Ready", seconds=40)
    assert first == active(one_gpu)
