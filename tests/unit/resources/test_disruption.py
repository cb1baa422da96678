"""The PodDisruptionBudget."""

import kubernetes_validate

from rerank_operator.api import names
from rerank_operator.resources.disruption import build_disruption_budget
from tests.builders import a_reranker, a_resource


def test_a_drain_may_take_one_pod_of_the_active_revision_at_a_time() -> None:
    spec = build_disruption_budget(a_reranker(), a_resource(), "5f8d7c01")["spec"]

    assert 1 == spec["maxUnavailable"]
    assert {"matchLabels": names.revision_selector("bge", "5f8d7c01")} == spec["selector"]


def test_a_pod_that_does_not_serve_holds_up_no_drain() -> None:
    spec = build_disruption_budget(a_reranker(), a_resource(), "5f8d7c01")["spec"]
    assert "AlwaysAllow" == spec["unhealthyPodEvictionPolicy"]


def test_the_budget_goes_with_its_reranker() -> None:
    metadata = build_disruption_budget(a_reranker(), a_resource(), "5f8d7c01")["metadata"]

    assert ("bge", "search") == (metadata["name"], metadata["namespace"])
    assert names.child_labels("bge") == metadata["labels"]
    assert ["uid-of-bge"] == [owner["uid"] for owner in metadata["ownerReferences"]]


def test_the_budget_is_valid_in_kubernetes() -> None:
    budget = build_disruption_budget(a_reranker(), a_resource(), "5f8d7c01")
    kubernetes_validate.validate(budget, kubernetes_validate.latest_version(), strict=True)
