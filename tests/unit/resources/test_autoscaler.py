"""The autoscaler in its two forms."""

import re
from typing import Any

import kubernetes_validate
import pytest

from rerank_operator.api import names
from rerank_operator.resources.autoscaler import build_autoscaler, waiting_requests_query
from tests.builders import a_reranker, a_resource

CPU_METRIC = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
}
TARGET = {"apiVersion": "rerank-operator.io/v1alpha1", "kind": "RerankService", "name": "bge"}
PROMETHEUS = "http://prometheus.monitoring.svc:9090"
# The longest name that is allowed, and what Kubernetes makes of it: 58 characters, then 5 of chance.
LONGEST = "a" * names.MAX_NAME_LENGTH
POD_OF_LONGEST = f"{LONGEST}-5f8d7c01-6b9d-"[:58] + "x7k2p"

HPA = {"maxReplicas": 4, "metrics": [CPU_METRIC]}
KEDA = {"maxReplicas": 4, "waitingRequests": {"prometheusAddress": PROMETHEUS}}
both_forms = pytest.mark.parametrize("autoscaling", [HPA, KEDA], ids=["HorizontalPodAutoscaler", "ScaledObject"])


def autoscaler(**autoscaling: Any) -> dict[str, Any]:
    return build_autoscaler(a_reranker(autoscaling=autoscaling), a_resource())


def pods_of(query: str) -> str:
    """The expression that a query selects pods by; Prometheus matches it as a whole."""
    found = re.search(r'pod=~"([^"]+)"', query)
    assert found is not None
    return found[1]


@both_forms
def test_the_autoscaler_scales_the_reranker_and_no_deployment(autoscaling: dict[str, Any]) -> None:
    assert TARGET == autoscaler(**autoscaling)["spec"]["scaleTargetRef"]


@both_forms
def test_the_autoscaler_goes_with_its_reranker(autoscaling: dict[str, Any]) -> None:
    metadata = autoscaler(**autoscaling)["metadata"]

    assert ("bge", "search") == (metadata["name"], metadata["namespace"])
    assert names.child_labels("bge") == metadata["labels"]
    assert ["uid-of-bge"] == [owner["uid"] for owner in metadata["ownerReferences"]]


def test_metrics_are_passed_on_as_they_were_written() -> None:
    built = autoscaler(minReplicas=2, **HPA)

    assert ("autoscaling/v2", "HorizontalPodAutoscaler") == (built["apiVersion"], built["kind"])
    assert {"scaleTargetRef": TARGET, "minReplicas": 2, "maxReplicas": 4, "metrics": [CPU_METRIC]} == built["spec"]
    kubernetes_validate.validate(built, kubernetes_validate.latest_version(), strict=True)


def test_waiting_requests_are_keda_s_business() -> None:
    built = autoscaler(minReplicas=2, maxReplicas=4, waitingRequests={"prometheusAddress": PROMETHEUS, "perPod": 5})

    assert ("keda.sh/v1alpha1", "ScaledObject") == (built["apiVersion"], built["kind"])
    assert (2, 4) == (built["spec"]["minReplicaCount"], built["spec"]["maxReplicaCount"])
    (trigger,) = built["spec"]["triggers"]
    assert ("prometheus", "AverageValue") == (trigger["type"], trigger["metricType"])
    assert (PROMETHEUS, "5") == (trigger["metadata"]["serverAddress"], trigger["metadata"]["threshold"])
    assert waiting_requests_query("bge", "search") == trigger["metadata"]["query"]


def test_keda_gets_nothing_but_text() -> None:
    (trigger,) = autoscaler(**KEDA)["spec"]["triggers"]
    assert {str} == {type(value) for value in trigger["metadata"].values()}


def test_without_figures_the_number_of_pods_stays() -> None:
    (trigger,) = autoscaler(**KEDA)["spec"]["triggers"]
    assert "false" == trigger["metadata"]["ignoreNullValues"]


def test_the_query_is_the_sum_over_the_pods_of_the_reranker() -> None:
    expected = 'sum(vllm:num_requests_waiting{namespace="search",pod=~"bge-[0-9a-f]{7}.+"})'
    assert expected == waiting_requests_query("bge", "search")


@pytest.mark.parametrize(
    ("reranker", "pod", "counted"),
    [
        ("bge", "bge-5f8d7c01-6b9d8c7f5-x7k2p", True),
        ("bge", "bge-0a1b2c3d-6b9d8c7f5-x7k2p", True),
        (LONGEST, POD_OF_LONGEST, True),
        ("bge", "bge-base-5f8d7c01-6b9d8c7f5-x7k2p", False),
        ("bge", "other-bge-5f8d7c01-6b9d8c7f5-x7k2p", False),
    ],
    ids=["a revision", "another revision", "the longest name", "a longer name", "a name before it"],
)
def test_the_query_counts_every_pod_of_this_reranker_and_of_no_other(reranker: str, pod: str, counted: bool) -> None:
    selected = re.fullmatch(pods_of(waiting_requests_query(reranker, "search")), pod)
    assert counted == (selected is not None)


def test_an_autoscaler_that_nobody_asked_for_is_not_built() -> None:
    with pytest.raises(ValueError, match=r"spec\.autoscaling is not set"):
        build_autoscaler(a_reranker(), a_resource())
