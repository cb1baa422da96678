"""What leads a host name to the Service."""

from typing import Any

import kubernetes_validate
import pytest

from rerank_operator.api import names
from rerank_operator.resources.route import build_route
from tests.builders import a_reranker, a_resource

HOST = "rerank.example.com"
GATEWAY = {"hostname": HOST, "gateway": {"name": "public", "namespace": "gateways", "sectionName": "https"}}
INGRESS: dict[str, Any] = {"hostname": HOST, "ingress": {}}


def build(route: dict[str, Any] | None, **spec: Any) -> dict[str, Any] | None:
    return build_route(a_reranker(route=route, **spec), a_resource())


def built(route: dict[str, Any], **spec: Any) -> dict[str, Any]:
    found = build(route, **spec)
    assert found is not None
    return found


def ingress(*, tls: bool = False, **spec: Any) -> dict[str, Any]:
    return built({"hostname": HOST, "tls": tls, "ingress": spec})


def test_without_a_route_nothing_is_built() -> None:
    assert build(None) is None


@pytest.mark.parametrize(("route", "kind"), [(GATEWAY, "HTTPRoute"), (INGRESS, "Ingress")], ids=["gateway", "ingress"])
def test_a_route_goes_with_its_reranker(route: dict[str, Any], kind: str) -> None:
    found = built(route)

    assert (kind, "bge", "search") == (found["kind"], found["metadata"]["name"], found["metadata"]["namespace"])
    assert names.child_labels("bge") == found["metadata"]["labels"]
    assert ["uid-of-bge"] == [owner["uid"] for owner in found["metadata"]["ownerReferences"]]


def test_an_http_route_sends_the_whole_host_to_the_service() -> None:
    spec = built(GATEWAY)["spec"]
    (rule,) = spec["rules"]

    assert [HOST] == spec["hostnames"]
    assert [GATEWAY["gateway"]] == spec["parentRefs"]
    assert [{"path": {"type": "PathPrefix", "value": "/"}}] == rule["matches"]
    assert [{"name": "bge", "port": 8000}] == rule["backendRefs"]


def test_a_gateway_of_the_same_namespace_is_named_without_one() -> None:
    assert [{"name": "public"}] == built({"hostname": HOST, "gateway": {"name": "public"}})["spec"]["parentRefs"]


@pytest.mark.parametrize(
    ("milliseconds", "timeout"),
    [(None, "35s"), (100, "35s"), (30_000, "35s"), (45_001, "51s"), (600_000, "605s")],
)
def test_milvus_gives_up_before_the_gateway_does(milliseconds: int | None, timeout: str) -> None:
    (rule,) = built(GATEWAY, milvus={"timeoutMilliseconds": milliseconds})["spec"]["rules"]
    assert {"request": timeout} == rule["timeouts"]


def test_an_ingress_sends_the_whole_host_to_the_service() -> None:
    spec = built(INGRESS)["spec"]
    (rule,) = spec["rules"]
    backend = {"service": {"name": "bge", "port": {"number": 8000}}}

    assert HOST == rule["host"]
    assert [{"path": "/", "pathType": "Prefix", "backend": backend}] == rule["http"]["paths"]
    assert "ingressClassName" not in spec
    assert "annotations" not in built(INGRESS)["metadata"]


def test_a_route_follows_the_port_of_the_service() -> None:
    for route in (GATEWAY, INGRESS):
        assert "9000" in str(built(route, service={"port": 9000})["spec"])


def test_class_and_annotations_of_an_ingress_are_taken_over() -> None:
    found = ingress(className="nginx", annotations={"example.com/timeout": "40"})

    assert "nginx" == found["spec"]["ingressClassName"]
    listed = {names.ANNOTATION_FROM_SPEC: "example.com/timeout"}
    assert {"example.com/timeout": "40", **listed} == found["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("tls", "secret", "said"),
    [
        (True, "rerank-tls", [{"hosts": [HOST], "secretName": "rerank-tls"}]),
        (True, None, [{"hosts": [HOST]}]),
        (False, "rerank-tls", []),
        (False, None, []),
    ],
    ids=["own certificate", "certificate of the controller", "certificate but no https", "no https"],
)
def test_an_ingress_has_a_certificate_where_https_is_published(
    tls: bool, secret: str | None, said: list[dict[str, Any]]
) -> None:
    assert said == ingress(tls=tls, **({"tlsSecretName": secret} if secret else {}))["spec"]["tls"]


@pytest.mark.parametrize("tls", [True, False])
def test_an_ingress_is_valid_in_kubernetes(tls: bool) -> None:
    found = ingress(tls=tls, className="nginx", tlsSecretName="rerank-tls", annotations={"a": "b"})
    kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
