"""The Service in its three types."""

from typing import Any

import kubernetes_validate
import pytest

from rerank_operator.api import names
from rerank_operator.resources.service import build_service
from tests.builders import a_reranker, a_resource

ACTIVE = "5f8d7c01"
BALANCER = {
    "type": "LoadBalancer",
    "loadBalancerClass": "example.com/internal",
    "loadBalancerSourceRanges": ["10.0.0.0/8"],
    "annotations": {"example.com/internal": "true"},
}
TYPES: dict[str, dict[str, Any]] = {
    "default": {},
    "NodePort": {"type": "NodePort"},
    "NodePort with a port": {"type": "NodePort", "nodePort": 30007},
    "LoadBalancer": BALANCER,
}


def service(**spec: Any) -> dict[str, Any]:
    return build_service(a_reranker(service=spec), a_resource(), ACTIVE)


def test_without_a_word_the_service_is_what_it_was_in_the_first_version() -> None:
    expected = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "bge",
            "namespace": "search",
            "labels": names.child_labels("bge"),
            "ownerReferences": service()["metadata"]["ownerReferences"],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": names.revision_selector("bge", ACTIVE),
            "ports": [{"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"}],
        },
    }
    assert expected == service()


def test_the_service_goes_with_its_reranker() -> None:
    assert ["uid-of-bge"] == [owner["uid"] for owner in service()["metadata"]["ownerReferences"]]


@pytest.mark.parametrize("spec", TYPES.values(), ids=TYPES)
def test_the_service_is_valid_in_kubernetes(spec: dict[str, Any]) -> None:
    kubernetes_validate.validate(service(**spec), kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("spec", TYPES.values(), ids=TYPES)
def test_whatever_its_type_the_service_routes_to_the_active_revision_only(spec: dict[str, Any]) -> None:
    assert names.revision_selector("bge", ACTIVE) == service(**spec)["spec"]["selector"]


def test_a_port_of_the_nodes_is_said_only_where_the_spec_names_one() -> None:
    (chosen,), (named,) = (
        service(**spec)["spec"]["ports"] for spec in ({"type": "NodePort"}, {"type": "NodePort", "nodePort": 30007})
    )
    assert "nodePort" not in chosen
    assert 30007 == named["nodePort"]


def test_a_balancer_gets_its_class_its_ranges_and_its_annotations() -> None:
    built = service(**BALANCER)

    assert ("LoadBalancer", "example.com/internal") == (built["spec"]["type"], built["spec"]["loadBalancerClass"])
    assert ["10.0.0.0/8"] == built["spec"]["loadBalancerSourceRanges"]
    listed = {names.ANNOTATION_FROM_SPEC: "example.com/internal"}
    assert {"example.com/internal": "true", **listed} == built["metadata"]["annotations"]


def test_a_value_that_looks_like_something_else_stays_text() -> None:
    annotations = {"a": "no", "b": "1e3"}

    assert {**annotations, names.ANNOTATION_FROM_SPEC: "a,b"} == service(annotations=annotations)["metadata"][
        "annotations"
    ]
