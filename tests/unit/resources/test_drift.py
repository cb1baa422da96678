"""What counts as a difference between what we say and what is there."""

from typing import Any

import pytest

from rerank_operator.api import names
from rerank_operator.resources.drift import from_spec, is_drifted, overlay


def annotated(annotations: dict[str, str], **theirs: str) -> dict[str, Any]:
    """An object with these annotations of the spec, and further ones of others."""
    return {"metadata": {"name": "bge", "annotations": {**from_spec(annotations), **theirs}}}


BARE = {"metadata": {"name": "bge"}}
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
    "annotations of others beside those of the spec": (annotated({"a": "1"}), annotated({"a": "1"}, theirs="x")),
    "annotations of others where the spec has none": (BARE, annotated({}, theirs="x")),
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
    "an annotation that left the spec": (annotated({"a": "1"}), annotated({"a": "1", "b": "2"})),
    "the last annotation that left the spec": (BARE, annotated({"a": "1"})),
    "a list of annotations that left with them": (
        BARE,
        {"metadata": {"annotations": {names.ANNOTATION_FROM_SPEC: ""}}},
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


def test_the_names_of_annotations_from_the_spec_are_kept_beside_them() -> None:
    assert {"b": "2", "a": "1", names.ANNOTATION_FROM_SPEC: "a,b"} == from_spec({"b": "2", "a": "1"})
    assert {} == from_spec({})


def test_the_list_of_names_is_never_taken_from_the_spec() -> None:
    assert {} == from_spec({names.ANNOTATION_FROM_SPEC: "theirs"})
    assert {"a": "1", names.ANNOTATION_FROM_SPEC: "a"} == from_spec({"a": "1", names.ANNOTATION_FROM_SPEC: "theirs"})


def test_an_annotation_that_left_the_spec_goes_and_one_of_others_stays() -> None:
    live = annotated({"a": "1", "b": "2"}, theirs="x")

    assert annotated({"a": "3"}, theirs="x") == overlay(live, annotated({"a": "3"}))
    assert {"metadata": {"name": "bge", "annotations": {"theirs": "x"}}} == overlay(live, BARE)


def test_annotations_that_nobody_listed_stay() -> None:
    live = {"metadata": {"name": "bge", "annotations": {"theirs": "x"}}}

    assert live == overlay(live, BARE)
    assert annotated({"a": "1"}, theirs="x") == overlay(live, annotated({"a": "1"}))


def test_names_are_listed_for_the_object_itself_and_not_for_what_is_in_it() -> None:
    spec = {"annotations": {names.ANNOTATION_FROM_SPEC: "a", "a": "1"}}

    assert not is_drifted({"spec": {"type": "ClusterIP"}}, {"spec": {"type": "ClusterIP", **spec}})
    assert {"spec": spec} == overlay({"spec": spec}, {"spec": {}})
