"""What is foreseen is what the operator's own decisions come to."""

from typing import Any

import pytest

from rerank_operator.api import names
from rerank_operator.cli.outlook import Action, Installed, Outlook, foresee
from rerank_operator.controller.pods import Object
from rerank_operator.controller.values import Observed
from tests.builders import IMAGES, a_resource, deployed, hash_of, serving

NEW: dict[str, Any] = {"model": {"name": "BAAI/bge-reranker-base"}}


def objects(observed: Observed) -> list[Object]:
    """Everything that is there, as the API server would list it."""
    found = (observed.service, *observed.publications, observed.budget, *observed.autoscalers)
    by_revision = (observed.revisions, observed.files, observed.deployments)
    return [*(obj for of in by_revision for obj in of.values()), *(obj for obj in found if obj is not None)]


def foreseen(before: list[Object], *, keda: bool = False, **spec: Any) -> Outlook:
    return foresee(a_resource(**spec), before, IMAGES, Installed(keda, gateway_api=False))


def actions(outlook: Outlook, *wanted: Action) -> set[tuple[str, str]]:
    return {(child.kind, child.name) for child in outlook.children if child.action in wanted}


def test_a_new_reranker_gets_every_child() -> None:
    outlook = foreseen([])
    revision = hash_of()

    assert (None, revision) == (outlook.before, outlook.after)
    assert {
        ("ControllerRevision", f"bge-{revision}"),
        ("ConfigMap", f"bge-{revision}"),
        ("Deployment", f"bge-{revision}"),
        ("Service", "bge"),
        ("ConfigMap", "bge-milvus"),
    } == actions(outlook, Action.CREATE)
    assert (0, 1, 1) == (outlook.pods_before, outlook.pods_after, outlook.new_pods)


def test_what_serves_as_it_should_is_left_alone() -> None:
    outlook = foreseen(objects(serving()))

    assert {Action.UNCHANGED} == {child.action for child in outlook.children}
    assert 0 == outlook.new_pods


@pytest.mark.parametrize("strategy", ["Auto", "BlueGreen", "Recreate"])
def test_another_model_takes_the_place_of_the_one_that_serves(strategy: str) -> None:
    outlook = foreseen(objects(serving()), **NEW, rollout={"strategy": strategy})
    before, after = hash_of(), hash_of(**NEW)

    assert (before, after, 1) == (outlook.before, outlook.after, outlook.new_pods)
    assert {("Deployment", f"bge-{before}")} == actions(outlook, Action.DELETE)
    assert {("Service", "bge"), ("ConfigMap", "bge-milvus")} == actions(outlook, Action.CHANGE)
    (deployment,) = (child for child in outlook.children if child.name == f"bge-{after}" and child.replaces)
    told = [line.strip("+- ") for line in deployment.diff if line[0] in "+-"]
    assert {"BAAI/bge-reranker-v2-m3", "BAAI/bge-reranker-base"} <= set(told)
    assert not [line for line in deployment.diff if before in line or after in line]


def test_a_revision_that_is_stored_is_used_as_it_is() -> None:
    stored = next(iter(serving().revisions.values()))
    stored["data"]["template"]["spec"]["containers"][0]["image"] = "of-an-older-operator"
    outlook = foreseen([stored])

    assert outlook.stored is not None
    assert "of-an-older-operator" == outlook.stored["data"]["template"]["spec"]["containers"][0]["image"]


def test_old_revisions_beyond_the_history_go() -> None:
    olds = [next(iter(deployed(number, model={"name": f"old-{number}"}).revisions.items())) for number in range(1, 5)]
    before = [*objects(serving()), *(stored for _, stored in olds)]

    assert {("ControllerRevision", f"bge-{revision}") for revision, _ in olds[:2]} == actions(
        foreseen(before), Action.DELETE
    )


def test_more_pods_are_a_change_of_the_deployment_and_a_budget() -> None:
    outlook = foreseen(objects(serving()), replicas=3)

    assert {("Deployment", f"bge-{hash_of()}")} == actions(outlook, Action.CHANGE)
    assert {("PodDisruptionBudget", "bge")} == actions(outlook, Action.CREATE)
    assert (1, 3, 2) == (outlook.pods_before, outlook.pods_after, outlook.new_pods)


def test_an_autoscaler_of_keda_needs_keda() -> None:
    scaling = {"maxReplicas": 2, "waitingRequests": {"prometheusAddress": "http://prometheus:9090"}}
    without, with_ = (foreseen(objects(serving()), keda=keda, autoscaling=scaling) for keda in (False, True))

    assert set() == actions(without, Action.CREATE)
    assert {("ScaledObject", "bge")} == actions(with_, Action.CREATE)


def test_a_claim_is_created_once_and_one_that_is_there_stays() -> None:
    model = {**a_resource()["spec"]["model"], "source": {"huggingFace": {"cache": {"size": "20Gi"}}}}
    claim = ("PersistentVolumeClaim", "bge-models")
    there = {"apiVersion": "v1", "kind": claim[0], "metadata": {"name": claim[1], "namespace": "search", "labels": {}}}
    new, kept = foreseen([], model=model), foreseen([there], model=model)

    assert claim in actions(new, Action.CREATE)
    assert claim in actions(kept, Action.UNCHANGED)


def test_what_belongs_to_somebody_else_is_not_looked_at() -> None:
    foreign = objects(serving())
    for obj in foreign:
        obj["metadata"]["ownerReferences"][0]["uid"] = "of-another"

    assert {Action.CREATE} == {child.action for child in foreseen(foreign).children}


def test_a_revision_that_was_given_up_is_told() -> None:
    before = objects(serving()) + objects(deployed(2, pods=(), **NEW))
    for obj in before:
        if obj["kind"] == "Deployment" and obj["metadata"]["name"] == f"bge-{hash_of(**NEW)}":
            obj["metadata"]["annotations"] = {names.ANNOTATION_FAILED: '{"reason": "OutOfMemory", "detail": "killed"}'}
            obj["spec"]["replicas"] = 0
    outlook = foreseen(before, **NEW)

    assert ("OutOfMemory", "killed") == outlook.given_up
    assert {Action.UNCHANGED} == {child.action for child in outlook.children}


EXTERNAL: dict[str, Any] = {"external": {"endpoint": "http://vllm.search.svc:8000"}}


def test_an_external_server_needs_the_publication_only() -> None:
    outlook = foreseen([], **EXTERNAL)

    assert {("ConfigMap", "bge-milvus")} == actions(outlook, Action.CREATE)
    assert (None, 0) == (outlook.stored, outlook.new_pods)


def test_a_reranker_that_becomes_external_loses_its_pods_and_its_service() -> None:
    outlook = foreseen(objects(serving()), **EXTERNAL)

    assert {("ConfigMap", "bge-milvus")} == actions(outlook, Action.CHANGE)
    assert {("Service", "bge"), ("Deployment", f"bge-{hash_of()}")} < actions(outlook, Action.DELETE)


def test_a_route_is_foreseen_where_the_cluster_can_have_it() -> None:
    gateway: dict[str, Any] = {"route": {"hostname": "rerank.example.com", "gateway": {"name": "public"}}}
    ingress: dict[str, Any] = {"route": {"hostname": "rerank.example.com", "ingress": {}}}

    assert ("Ingress", "bge") in actions(foreseen(objects(serving()), **ingress), Action.CREATE)
    assert ("HTTPRoute", "bge") not in actions(foreseen(objects(serving()), **gateway), Action.CREATE)
