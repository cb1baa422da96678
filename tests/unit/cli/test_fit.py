"""Whether model pods find accelerators."""

from typing import Any

import pytest

from rerank_operator.api import names
from rerank_operator.cli.fit import Room, asked, claims, rooms

GPU = "nvidia.com/gpu"


def a_pod(count: int = 1, node: str = "", phase: str = "Running", reranker: str = "", **spec: Any) -> dict[str, Any]:
    container = {"name": "vllm", "resources": {"limits": {GPU: str(count), "memory": "8Gi"}, "requests": {"cpu": "1"}}}
    labels = {names.LABEL_RERANKER: reranker} if reranker else {}
    return {
        "metadata": {"name": "p", "namespace": "search", "labels": labels},
        "spec": {"containers": [container], **({"nodeName": node} if node else {}), **spec},
        "status": {"phase": phase},
    }


def a_node(name: str, count: int, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {"allocatable": {GPU: str(count), "cpu": "8"}},
    }


def the_room(template: dict[str, Any], nodes: list[dict[str, Any]], *pods: dict[str, Any]) -> Room:
    (room,) = rooms(template, ("search", "bge"), nodes, pods)
    return room


def test_only_accelerators_are_counted_and_those_of_all_containers_together() -> None:
    pod = a_pod(2)
    pod["spec"]["containers"] += [{"name": "sidecar", "resources": {"requests": {GPU: 1}}}, {"name": "plain"}]

    assert {GPU: 3} == asked(pod)
    assert {} == asked(a_pod(0))
    assert ["gpus"] == claims(a_pod(0, resourceClaims=[{"name": "gpus"}]))


def test_what_other_pods_hold_is_not_free() -> None:
    nodes = [a_node("a", 4), a_node("b", 2), a_node("c", 0)]
    pods = (a_pod(1, "a"), a_pod(2, "b"), a_pod(1, "a", phase="Succeeded"), a_pod(1))
    room = the_room(a_pod(), nodes, *pods)

    assert (2, 6, 3, 0, 3) == (room.nodes, room.allocatable, room.free, room.own, room.pods_that_fit)


def test_what_the_reranker_holds_itself_is_told_apart() -> None:
    room = the_room(a_pod(), [a_node("a", 2)], a_pod(1, "a", reranker="bge"), a_pod(1, "a", reranker="other"))

    assert (0, 1, 0) == (room.free, room.own, room.pods_that_fit)


def test_a_pod_needs_all_of_its_accelerators_on_one_node() -> None:
    room = the_room(a_pod(2), [a_node("a", 3), a_node("b", 1)])

    assert (4, 1) == (room.free, room.pods_that_fit)


KEPT_OUT = {
    "a node selector": ({"nodeSelector": {"gpu": "h100"}}, a_node("a", 1, {"gpu": "t4"}), (0, 0)),
    "a cordoned node": ({}, a_node("a", 1, unschedulable=True), (0, 0)),
    "a taint": ({}, a_node("a", 1, taints=[{"key": GPU, "effect": "NoSchedule"}]), (0, 1)),
    "another value": (
        {"tolerations": [{"key": GPU, "value": "no"}]},
        a_node("a", 1, taints=[{"key": GPU, "value": "yes", "effect": "NoSchedule"}]),
        (0, 1),
    ),
}


@pytest.mark.parametrize(("spec", "node", "expected"), KEPT_OUT.values(), ids=KEPT_OUT)
def test_a_node_that_the_scheduler_would_not_take_does_not_count(
    spec: dict[str, Any], node: dict[str, Any], expected: tuple[int, int]
) -> None:
    room = the_room(a_pod(**spec), [node])

    assert expected == (room.allocatable, room.tainted)


TOLERATED = {
    "by key": ({"key": GPU, "operator": "Exists"}, {"key": GPU, "effect": "NoSchedule"}),
    "whatever it is": ({"operator": "Exists"}, {"key": GPU, "value": "x", "effect": "NoExecute"}),
    "by value": (
        {"key": GPU, "value": "x", "effect": "NoSchedule"},
        {"key": GPU, "value": "x", "effect": "NoSchedule"},
    ),
}


@pytest.mark.parametrize(("toleration", "taint"), TOLERATED.values(), ids=TOLERATED)
def test_a_taint_that_is_tolerated_keeps_nobody_out(toleration: dict[str, str], taint: dict[str, str]) -> None:
    assert 1 == the_room(a_pod(tolerations=[toleration]), [a_node("a", 1, taints=[taint])]).pods_that_fit


def test_a_taint_that_only_prefers_others_keeps_nobody_out() -> None:
    assert 1 == the_room(a_pod(), [a_node("a", 1, taints=[{"key": "x", "effect": "PreferNoSchedule"}])]).pods_that_fit
