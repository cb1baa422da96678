"""What counts as a difference between what we say and what is there."""

from typing import Any

import pytest

from rerank_operator.resources.drift import is_drifted, overlay

SAME: dict[str, tuple[Any, Any]] = {
    "defaults of the API server": ({"a": 1}, {"a": 1, "b": 2}),
    "a quantity in another unit": ({"cpu": "0.5"}, {"cpu": "500m"}),
    "a number as quantity": ({"memory": 1073741824}, {"memory": "1Gi"}),
    "an empty value that was dropped": ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
    "a container that somebody injected": (
        {"containers": [{"name": "vllm"}]},
        {"containers": [{"name": "proxy"}, {"name": "vllm", "image": "x"}]},
    ),
    "an annotation of kubectl rollout restart": (
        {"annotations": {"a": "b"}},
        {"annotations": {"a": "b", "kubectl.kubernetes.io/restartedAt": "now"}},
    ),
    "a port of the nodes that Kubernetes chose": (
        {"ports": [{"name": "http", "port": 8000}]},
        {"ports": [{"name": "http", "port": 8000, "nodePort": 30007}]},
    ),
    "ranges that were never asked for": ({"type": "ClusterIP"}, {"type": "ClusterIP", "loadBalancerSourceRanges": []}),
}
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "an argument more": ({"command": ["vllm"]}, {"command": ["vllm", "--x"]}),
    "a label more in a selector": ({"selector": {"a": "b"}}, {"selector": {"a": "b", "c": "d"}}),
    "another value": ({"image": "a"}, {"image": "b"}),
    "a missing map": ({"a": {"b": 1}}, {}),
    "another amount": ({"cpu": "1"}, {"cpu": "1500m"}),
    "a missing named item": ({"volumes": [{"name": "a"}]}, {"volumes": []}),
    "a number for a text": ({"value": "1"}, {"value": 1}),
    "a bool for a number": ({"value": True}, {"value": "1"}),
    "another port of the nodes": (
        {"ports": [{"name": "http", "nodePort": 30008}]},
        {"ports": [{"name": "http", "nodePort": 30007}]},
    ),
    "ranges that are no longer asked for": (
        {"type": "LoadBalancer"},
        {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
    ),
    "certificates that are no longer asked for": ({"tls": []}, {"tls": [{"hosts": ["rerank.example.com"]}]}),
}


@pytest.mark.parametrize(("ours", "live"), SAME.values(), ids=SAME)
def test_what_is_the_same(ours: Any, live: Any) -> None:
    assert not is_drifted(ours, live)


@pytest.mark.parametrize(("ours", "live"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_is_different(ours: Any, live: Any) -> None:
    assert is_drifted(ours, live)


def test_our_fields_are_put_into_what_is_there() -> None:
    live = {
        "metadata": {"labels": {"theirs": "x"}, "resourceVersion": "7"},
        "spec": {"ports": [1], "selector": {"a": "b"}},
    }
    ours = {"metadata": {"labels": {"ours": "y"}}, "spec": {"ports": [2], "selector": {"c": "d"}}}

    assert {
        "metadata": {"labels": {"theirs": "x", "ours": "y"}, "resourceVersion": "7"},
        "spec": {"ports": [2], "selector": {"c": "d"}},
    } == overlay(live, ours)


def test_what_others_added_to_our_port_stays_and_ports_of_others_go() -> None:
    live = {"ports": [{"name": "http", "port": 8000, "nodePort": 30007}, {"name": "theirs", "port": 9999}]}
    ours = {"ports": [{"name": "http", "port": 9000}]}

    assert {"ports": [{"name": "http", "port": 9000, "nodePort": 30007}]} == overlay(live, ours)


def test_a_port_that_is_not_there_yet_is_added_as_it_is() -> None:
    assert {"ports": [{"name": "http"}]} == overlay({"ports": [{"port": 80}]}, {"ports": [{"name": "http"}]})
    assert {"ports": [{"name": "http"}]} == overlay({"ports": None}, {"ports": [{"name": "http"}]})


def test_ports_inside_a_container_become_ours_like_the_whole_list() -> None:
    live = {"containers": [{"name": "vllm", "ports": [{"name": "http", "hostPort": 80}]}]}
    ours = {"containers": [{"name": "vllm", "ports": [{"name": "http"}]}]}

    assert ours == overlay(live, ours)


def test_ranges_of_a_balancer_go_when_they_are_no_longer_asked_for() -> None:
    live = {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"], "clusterIP": "10.96.0.7"}

    assert {"type": "ClusterIP", "clusterIP": "10.96.0.7"} == overlay(live, {"type": "ClusterIP"})
