"""How many pods there are, what keeps enough of them there, and what happens to both while a change goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.contract.generate import CRD_FILE
from tests.doubles.pod_status import never_ready
from tests.functional.world import Object, World, running_world
from tests.produces import produces

SCALED_OBJECT_CRD = Path(__file__).resolve().parents[1] / "doubles" / "scaled_object_crd.yaml"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
WAITING = {"prometheusAddress": "http://prometheus.monitoring.svc:9090"}


@pytest.fixture(scope="module")
def keda_plane() -> Iterator[ControlPlane]:
    """A control plane that knows KEDA's ScaledObject."""
    with ControlPlane(manifests=[CRD_FILE, SCALED_OBJECT_CRD]) as running:
        yield running


@pytest.fixture
def with_keda(keda_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    with running_world(keda_plane, tmp_path) as world:
        yield world


def found(world: World, kind: str) -> Object:
    obj = world.get(kind, "bge")
    assert obj is not None
    return obj


def revision_of(world: World, kind: str) -> str:
    selector = found(world, kind)["spec"]["selector"]
    return str(selector.get("matchLabels", selector)["rerank-operator.io/revision"])


def test_from_two_replicas_on_there_is_a_budget_for_node_drains(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    assert world.get("poddisruptionbudget", "bge") is None

    world.kubectl("scale", "rrs", "bge", "--replicas=2")
    world.wait_until(lambda: world.get("poddisruptionbudget", "bge"))
    assert 1 == found(world, "poddisruptionbudget")["spec"]["maxUnavailable"]
    world.kubectl("scale", "rrs", "bge", "--replicas=1")
    world.wait_until(lambda: world.get("poddisruptionbudget", "bge") is None)


def test_the_budget_goes_over_to_the_new_revision_with_the_service(world: World) -> None:
    world.reranker(replicas=2)
    world.wait_for_reason("Ready")
    world.wait_until(lambda: world.get("poddisruptionbudget", "bge"))
    world.misbehave("model-b", never_ready())
    world.reranker(model="model-b", replicas=2)
    world.wait_for_reason("EngineStarting")
    assert revision_of(world, "service") == revision_of(world, "poddisruptionbudget")

    world.misbehave("model-b", None)
    world.wait_for_reason("Ready")
    world.wait_until(lambda: revision_of(world, "service") == revision_of(world, "poddisruptionbudget"))


def test_all_pods_of_a_candidate_must_rank_right(world: World) -> None:
    world.reranker(replicas=3)
    world.wait_for_reason("Ready")

    asked = [request for request in world.engine("model-a").requests if request.path == "/v1/rerank"]
    assert 3 == len(asked)


def test_an_autoscaler_has_the_reranker_as_its_target_and_goes_when_it_is_no_longer_wanted(world: World) -> None:
    world.reranker(autoscaling={"maxReplicas": 3, "metrics": [CPU]})
    world.wait_for_reason("Ready")
    spec = found(world, "horizontalpodautoscaler")["spec"]
    assert ("RerankService", "bge", 1, 3) == (
        spec["scaleTargetRef"]["kind"],
        spec["scaleTargetRef"]["name"],
        spec["minReplicas"],
        spec["maxReplicas"],
    )
    assert "True" == world.conditions()["AutoscalerActive"]["status"]

    world.kubectl("patch", "rrs", "bge", "--type=merge", '--patch={"spec":{"autoscaling":null}}')
    world.wait_until(lambda: world.get("horizontalpodautoscaler", "bge") is None)
    world.wait_until(lambda: "AutoscalerActive" not in world.conditions())


def test_the_scale_subresource_counts_the_pods_that_serve(world: World) -> None:
    world.reranker(replicas=2)
    world.wait_for_reason("Ready")
    world.misbehave("model-b", never_ready())
    world.reranker(model="model-b", replicas=2)
    world.wait_for_reason("EngineStarting")

    status = found(world, "rerankservice")["status"]
    selected = world.objects("pods", status["selector"])
    assert (2, 2) == (status["replicas"], len(selected))
    assert {revision_of(world, "service")} == {p["metadata"]["labels"]["rerank-operator.io/revision"] for p in selected}


def test_replicas_change_while_a_candidate_is_on_its_way(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.misbehave("model-b", never_ready())
    world.reranker(model="model-b")
    world.wait_for_reason("EngineStarting")
    world.kubectl("scale", "rrs", "bge", "--replicas=2")
    world.wait_until(lambda: 4 == len(world.objects("pods")))

    world.misbehave("model-b", None)
    world.wait_for_reason("Ready")
    world.wait_until(lambda: 2 == len(world.objects("pods")))


def test_suspending_takes_the_autoscaler_and_the_budget_away_and_resuming_brings_them_back(world: World) -> None:
    world.reranker(replicas=2, autoscaling={"maxReplicas": 3, "metrics": [CPU]})
    world.wait_for_reason("Ready")
    world.wait_until(lambda: world.get("poddisruptionbudget", "bge"))
    world.kubectl("patch", "rrs", "bge", "--type=merge", '--patch={"spec":{"suspend":true}}')
    world.wait_for_reason("Suspended")
    world.wait_until(lambda: "[]" == str(world.objects("horizontalpodautoscalers,poddisruptionbudgets")))

    world.kubectl("patch", "rrs", "bge", "--type=merge", '--patch={"spec":{"suspend":false}}')
    world.wait_for_reason("Ready")
    world.wait_until(lambda: 2 == len(world.objects("horizontalpodautoscalers,poddisruptionbudgets")))


@produces(Reason.KEDA_MISSING, by="API server")
def test_without_keda_the_reranker_is_ready_and_a_condition_says_what_is_missing(world: World) -> None:
    world.reranker(autoscaling={"maxReplicas": 3, "waitingRequests": WAITING})
    world.wait_for_reason("Ready")

    missing = world.conditions()["AutoscalerActive"]
    assert ("False", "KedaMissing") == (missing["status"], missing["reason"])


def test_with_keda_a_scaled_object_takes_the_place_of_the_autoscaler_and_back(with_keda: World) -> None:
    with_keda.reranker(autoscaling={"maxReplicas": 3, "metrics": [CPU]})
    with_keda.wait_for_reason("Ready")
    with_keda.reranker(autoscaling={"maxReplicas": 3, "waitingRequests": WAITING})
    with_keda.wait_until(lambda: with_keda.get("scaledobject", "bge"))
    assert with_keda.get("horizontalpodautoscaler", "bge") is None

    with_keda.reranker(autoscaling={"maxReplicas": 3, "metrics": [CPU]})
    with_keda.wait_until(lambda: with_keda.get("horizontalpodautoscaler", "bge"))
    assert with_keda.get("scaledobject", "bge") is None
