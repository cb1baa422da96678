"""Under which address a reranker is published."""

from typing import Any

import pytest

from rerank_operator.resources.addresses import is_own_service, published_endpoint
from tests.builders import a_reranker

INSIDE = "http://bge.search.svc:8000"
ELSEWHERE = {"endpoint": "http://203.0.113.7:30007"}
ROUTE: dict[str, Any] = {"hostname": "rerank.example.com", "gateway": {"name": "public"}}
BALANCER = {"type": "LoadBalancer"}


def balanced(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": list(entries)}}}


FIRST = balanced({"ip": "198.51.100.7"})

SAID: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, INSIDE),
    "a port": ({"service": {"port": 9000}}, "http://bge.search.svc:9000"),
    "a port of the nodes": ({"service": {"type": "NodePort", "nodePort": 30007}}, INSIDE),
    "a balancer": ({"service": BALANCER}, "http://198.51.100.7:8000"),
    "a balancer with a port": ({"service": {**BALANCER, "port": 80}}, "http://198.51.100.7:80"),
    "a host name": ({"route": ROUTE}, "http://rerank.example.com"),
    "a host name with https": ({"route": {**ROUTE, "tls": True}}, "https://rerank.example.com"),
    "a host name with a port": (
        {"route": {**ROUTE, "tls": True, "port": 8443}, "service": {"port": 9000}},
        "https://rerank.example.com:8443",
    ),
    "a host name before a balancer": ({"route": ROUTE, "service": BALANCER}, "http://rerank.example.com"),
    "an address of the user before all others": (
        {"publish": ELSEWHERE, "route": ROUTE, "service": BALANCER},
        "http://203.0.113.7:30007",
    ),
    "a server of somebody else": ({"external": {"endpoint": "http://vllm.ml.svc:8000"}}, "http://vllm.ml.svc:8000"),
}


@pytest.mark.parametrize(("spec", "expected"), SAID.values(), ids=SAID)
def test_what_the_spec_says_decides_what_is_published(spec: dict[str, Any], expected: str) -> None:
    assert expected == published_endpoint(a_reranker(**spec), FIRST)


ANSWERED: dict[str, tuple[dict[str, Any] | None, str | None]] = {
    "an address": (FIRST, "http://198.51.100.7:8000"),
    "a name": (balanced({"hostname": "lb.example.com"}), "http://lb.example.com:8000"),
    "an address of version 6": (balanced({"ip": "2001:db8::7"}), "http://[2001:db8::7]:8000"),
    "two addresses": (balanced({"ip": "198.51.100.7"}, {"ip": "2001:db8::7"}), "http://198.51.100.7:8000"),
    "an entry without an address": (balanced({"ports": []}, {"ip": "198.51.100.7"}), "http://198.51.100.7:8000"),
    "no entry": (balanced(), None),
    "no status": ({"spec": {"type": "LoadBalancer"}}, None),
    "null": ({"status": {"loadBalancer": {"ingress": None}}}, None),
    "no Service": (None, None),
}


@pytest.mark.parametrize(("service", "expected"), ANSWERED.values(), ids=ANSWERED)
def test_a_balancer_is_published_once_it_has_an_address(service: dict[str, Any] | None, expected: str | None) -> None:
    assert expected == published_endpoint(a_reranker(service=BALANCER), service)


@pytest.mark.parametrize(
    ("endpoint", "own"),
    [
        (INSIDE, True),
        ("http://bge.search.svc:9000", False),
        ("http://bge.staging.svc:8000", False),
        ("http://rerank.example.com", False),
    ],
)
def test_only_the_address_inside_the_cluster_is_that_of_the_own_service(endpoint: str, own: bool) -> None:
    assert own is is_own_service(endpoint, a_reranker())
