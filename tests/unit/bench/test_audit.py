"""The audit log is read as the API server writes it."""

import json
from typing import Any

import pytest

from tests.bench import audit
from tests.bench.audit import Request

START = 1_800_000_000.0


def a_line(**changes: Any) -> str:
    entry = {
        "stage": "ResponseComplete",
        "stageTimestamp": "2027-01-15T08:00:00.250000Z",
        "verb": "create",
        "userAgent": "rerank-operator",
        "objectRef": {"resource": "configmaps", "namespace": "bench", "name": "bge-milvus"},
    }
    return json.dumps({**entry, **changes}) + "\n"


def a_request(verb: str = "create", resource: str = "configmaps", name: str = "", **changes: Any) -> Request:
    return Request(START, "rerank-operator", verb, resource, name)._replace(**changes)


def test_a_line_becomes_a_request_with_the_time_of_its_answer() -> None:
    expected = Request(START + 0.25, "rerank-operator", "create", "configmaps", "bge-milvus")

    assert [expected] == list(audit.parse([a_line()]))


def test_a_subresource_is_part_of_the_resource() -> None:
    line = a_line(verb="patch", objectRef={"resource": "pods", "subresource": "status", "name": "bge-1"})

    assert ["pods/status"] == [request.resource for request in audit.parse([line])]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(a_line(stage="ResponseStarted"), id="a request that goes on"),
        pytest.param(a_line(objectRef=None).replace('"objectRef": null', '"requestURI": "/version"'), id="no resource"),
        pytest.param(a_line()[:40], id="a line that is being written"),
    ],
)
def test_what_is_no_answered_request_about_a_resource_is_left_out(line: str) -> None:
    assert [] == list(audit.parse([line]))


def test_only_requests_within_the_window_are_kept() -> None:
    early, inside, late = (a_request(at=START + second) for second in (0, 5, 11))

    assert [inside] == audit.between([early, inside, late], START + 1, START + 10)


def test_writes_of_the_operator_are_counted_by_verb_and_resource() -> None:
    requests = [
        a_request(),
        a_request(),
        a_request("patch", "rerankservices/status"),
        a_request("get"),
        a_request(agent="kube-controller-manager/v1.36"),
    ]

    assert {"create configmaps": 2, "patch rerankservices/status": 1} == audit.our_writes(requests)


def test_a_write_through_kopf_is_a_write_of_the_operator() -> None:
    assert {"patch pods": 1} == audit.our_writes([a_request("patch", "pods", agent="kopf/1.45.2")])


def test_reads_of_kopf_are_counted_apart() -> None:
    requests = [a_request("get", "services"), a_request("list", "pods", agent="kopf/1.45.2")]

    assert {"get services": 1} == audit.our_reads(requests)
    assert {"list pods": 1} == audit.kopf_requests(requests)


def test_the_last_created_object_ends_the_creation() -> None:
    requests = [a_request(resource="deployments", at=START + second) for second in (1, 3, 2)]

    assert START + 3 == audit.last_created([*requests, a_request(at=START + 9)], "deployments")


def test_publishing_lasts_from_the_ready_pod_to_the_created_config_map() -> None:
    requests = [
        a_request("patch", "pods/status", "reranker-00001-0a1b2c3d-5f6d-x2z4q", agent="aiohttp"),
        a_request("patch", "pods/status", "reranker-00002-0a1b2c3d-5f6d-k8s9t", agent="aiohttp", at=START + 1),
        a_request(name="reranker-00001-0a1b2c3d"),
        a_request(name="reranker-00002-milvus", at=START + 1.5),
        a_request(name="reranker-00001-milvus", at=START + 0.25),
    ]

    assert [0.25, 0.5] == audit.publishing_seconds(requests)
