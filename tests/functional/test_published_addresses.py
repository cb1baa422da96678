"""Addresses for a Milvus outside the cluster: load balancer, route, and one that only the user knows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.doubles.engine import EngineDouble
from tests.doubles.rerank_answers import ServedModel
from tests.functional.test_external_endpoint import LOOPBACK, published
from tests.functional.world import World, running_world
from tests.produces import produces


@pytest.fixture
def open_world(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world whose operator may call any address of loopback that a test names."""
    with running_world(control_plane, tmp_path, {"RERANK_OPERATOR_ALLOWED_HOSTS": LOOPBACK}) as running:
        yield running


def outside_of(world: World) -> EngineDouble:
    """What callers outside the cluster reach: in truth a way to the pods, here a server of its own."""
    engine = world.engine("outside")
    engine.served = ServedModel(None, 512)
    return engine


def balancer(world: World, host: str) -> None:
    """What a cloud does once the load balancer is there."""
    status = {"status": {"loadBalancer": {"ingress": [{"ip": host}]}}}
    world.kubectl("patch", "service", "bge", "--subresource=status", "--type=merge", "-p", json.dumps(status))


@produces(Reason.WAITING_FOR_ADDRESS, by="API server")
def test_a_load_balancer_is_waited_for_and_its_address_is_verified_and_published(world: World) -> None:
    world.reranker(service={"type": "LoadBalancer"})
    world.wait_for_reason("WaitingForAddress")
    assert world.get("configmap", "bge-milvus") is None

    outside = outside_of(world)
    balancer(world, outside.host)
    world.wait_for_reason("Ready")
    assert f"http://{outside.host}:8000" == published(world, "RERANK_ENDPOINT")
    assert any("/v2/rerank" == request.path for request in outside.requests)


@produces(Reason.PUBLISHED_ADDRESS_WRONG, by="double")
def test_an_address_that_leads_elsewhere_is_not_published(open_world: World) -> None:
    outside = outside_of(open_world)
    outside.mode = "not-vllm"
    open_world.reranker(publish={"endpoint": f"http://{outside.host}:8000"})
    ready = open_world.wait_for_reason("PublishedAddressWrong")
    assert f"http://{outside.host}:8000: RerankRouteMissing" in ready["message"]
    assert open_world.get("configmap", "bge-milvus") is None

    outside.mode = "right"
    open_world.wait_for_reason("Ready", seconds=30)
    assert f"http://{outside.host}:8000" == published(open_world, "RERANK_ENDPOINT")


def test_an_address_that_goes_wrong_keeps_its_publication_and_is_named(open_world: World) -> None:
    outside = outside_of(open_world)
    open_world.reranker(
        publish={"endpoint": f"http://{outside.host}:8000"}, verification={"intervalSeconds": 10, "onFailure": "Report"}
    )
    open_world.wait_for_reason("Ready")
    before = open_world.get("configmap", "bge-milvus")
    outside.mode = "not-vllm"

    open_world.wait_for_reason("PublishedAddressWrong", seconds=30)
    assert before == open_world.get("configmap", "bge-milvus")


def test_an_address_out_of_the_operators_reach_is_published_and_that_is_said(open_world: World) -> None:
    outside = outside_of(open_world)
    outside.mode = "connection-refused"
    open_world.reranker(publish={"endpoint": f"http://{outside.host}:8000"})
    open_world.wait_for_reason("Ready", seconds=40)

    told = open_world.conditions()["ConfigPublished"]
    assert f"cannot reach http://{outside.host}:8000" in told["message"]


def test_an_address_that_the_operator_may_not_call_is_published_uncalled(world: World) -> None:
    outside = outside_of(world)
    world.reranker(publish={"endpoint": f"http://{outside.host}:8000"})
    world.wait_for_reason("Ready")

    assert "may not call" in world.conditions()["ConfigPublished"]["message"]
    assert [] == outside.requests


def test_a_change_of_the_model_is_verified_through_the_address_before_it_is_published(open_world: World) -> None:
    outside = outside_of(open_world)
    open_world.reranker(publish={"endpoint": f"http://{outside.host}:8000"})
    open_world.wait_for_reason("Ready")
    outside.mode = "not-vllm"
    open_world.reranker(model="model-b", publish={"endpoint": f"http://{outside.host}:8000"})
    open_world.wait_for_reason("PublishedAddressWrong")
    assert "model-a" == published(open_world, "RERANK_MODEL")

    outside.mode = "right"
    open_world.wait_until(lambda: "model-b" == published(open_world, "RERANK_MODEL"), seconds=40)


def test_an_ingress_leads_to_the_service_and_its_host_name_is_published(world: World) -> None:
    world.reranker(route={"hostname": "rerank.example.com", "tls": True, "ingress": {"className": "nginx"}})
    world.wait_for_reason("Ready")

    ingress = world.get("ingress", "bge") or {}
    assert "rerank.example.com" == ingress["spec"]["rules"][0]["host"]
    assert "https://rerank.example.com" == published(world, "RERANK_ENDPOINT")
    world.kubectl("delete", "ingress", "bge")
    world.wait_until(lambda: world.get("ingress", "bge"))

    world.reranker()
    world.wait_until(lambda: world.get("ingress", "bge") is None)
    world.wait_until(lambda: "svc:8000" in published(world, "RERANK_ENDPOINT"))


@produces(Reason.GATEWAY_API_MISSING, by="API server")
def test_a_gateway_without_the_gateway_api_is_named(world: World) -> None:
    world.reranker(route={"hostname": "rerank.example.com", "gateway": {"name": "public"}})

    world.wait_for_reason("GatewayApiMissing")
    assert world.get("configmap", "bge-milvus") is None


def test_the_type_of_the_service_can_be_changed_there_and_back(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    for kind in ("NodePort", "LoadBalancer", "ClusterIP"):
        world.reranker(service={"type": kind})
        world.wait_until(lambda kind=kind: kind == (world.get("service", "bge") or {})["spec"]["type"])  # type: ignore[misc]
    world.wait_for_reason("Ready")


def test_a_converged_load_balancer_is_not_written_to(world: World) -> None:
    world.reranker(service={"type": "LoadBalancer", "annotations": {"example.com/internal": "true"}})
    world.wait_for_reason("WaitingForAddress")
    balancer(world, outside_of(world).host)
    world.wait_for_reason("Ready")
    before = world.settle()
    world.operator.stop()
    world.operator.start()

    assert before == world.settle()


def annotations_of_service(world: World) -> dict[str, str]:
    found: dict[str, str] = (world.get("service", "bge") or {})["metadata"].get("annotations", {})
    return found


def test_an_annotation_that_leaves_the_spec_leaves_the_service_and_one_of_others_stays(world: World) -> None:
    theirs = {"others.example.com/note": "x"}
    world.reranker(service={"annotations": {"example.com/internal": "true", "example.com/size": "small"}})
    world.wait_for_reason("Ready")
    world.kubectl("annotate", "service", "bge", "others.example.com/note=x")

    world.reranker(service={"annotations": {"example.com/size": "large"}})
    left = {"example.com/size": "large", "rerank-operator.io/annotations": "example.com/size", **theirs}
    world.wait_until(lambda: left == annotations_of_service(world))
    world.reranker()
    world.wait_until(lambda: theirs == annotations_of_service(world))
    before = world.settle()
    world.operator.stop()
    world.operator.start()

    assert before == world.settle()
