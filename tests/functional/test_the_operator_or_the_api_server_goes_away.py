"""Crashes and outages: nothing is lost, and things go on by themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.contract.generate import CRD_FILE
from tests.doubles.pod_status import never_ready
from tests.functional.world import World, running_world


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """A control plane of its own, which the test may stop."""
    with ControlPlane(manifests=[CRD_FILE]) as control_plane, running_world(control_plane, tmp_path) as world:
        yield world


def test_an_operator_that_is_killed_while_a_model_loads_goes_on_where_it_was(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.reranker()
    world.wait_for_reason("EngineStarting")
    world.operator.kill()
    world.misbehave("model-a", None)
    world.operator.start()

    world.wait_for_reason("Ready")
    assert 1 == len(world.objects("controllerrevisions"))


def test_a_change_that_was_made_while_the_operator_was_down_is_seen(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.operator.stop()
    world.reranker(model="model-b")
    world.operator.start()

    world.wait_until(lambda: (world.get("configmap", "bge-milvus") or {})["data"]["RERANK_MODEL"] == "model-b")


def test_a_reranker_that_was_deleted_while_the_operator_was_down_is_forgotten(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.operator.stop()
    world.kubectl("delete", "rrs", "bge")
    world.operator.start()

    world.wait_until(lambda: world.left_behind() == [])
    assert "broke off" not in world.operator.log_text


def test_the_operator_outlives_an_api_server_that_restarts(own_world: World) -> None:
    own_world.reranker(name="before", model="model-a")
    own_world.wait_for_reason("Ready", name="before")
    own_world.control_plane.restart_api()
    own_world.reranker(name="after", model="model-a")

    own_world.wait_for_reason("Ready", name="after", seconds=60)
    assert "broke off" not in own_world.operator.log_text


def test_sigterm_ends_the_operator_with_exit_code_zero(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    assert 0 == world.operator.stop()
    world.operator.start()


def test_prometheus_sees_the_rounds(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    assert 'rerank_operator_reconcile_total{outcome="ok"}' in world.operator.metrics()
    assert "rerank_operator_queue_length 0.0" in world.operator.metrics()
