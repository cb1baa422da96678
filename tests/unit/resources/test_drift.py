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
