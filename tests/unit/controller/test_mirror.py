"""What the mirror takes over, and what it tells apart."""

import copy
from typing import Any

from rerank_operator.api import names
from rerank_operator.controller.mirror import Mirror, owner_key
from rerank_operator.controller.values import Key
from rerank_operator.resources.publication_copy import build_copy
from tests.builders import a_resource, serving

KEY = Key("search", "bge")


def a_pod(version: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "bge-1",
            "namespace": "search",
            "uid": "uid-1",
            "resourceVersion": str(version),
            "labels": {"rerank-operator.io/reranker": "bge"},
        },
        "status": {"phase": "Pending", **status},
    }


def test_an_older_version_never_replaces_a_newer_one() -> None:
    mirror = Mirror()

    assert mirror.put(a_pod(7, phase="Running"))
    assert not mirror.put(a_pod(6, phase="Pending"))
    assert "Running" == mirror.of(KEY)[0]["status"]["phase"]


def test_a_change_that_no_decision_depends_on_wakes_nobody() -> None:
    mirror = Mirror()
    mirror.put(a_pod(1))

    assert not mirror.put(a_pod(2, hostIP="10.0.0.1"))
    assert mirror.put(a_pod(3, podIP="10.0.0.7"))


def test_our_own_write_is_known_before_its_event_arrives() -> None:
    mirror = Mirror()
    answer = {**a_resource(), "status": {"observedGeneration": 1}}
    answer["metadata"] = {**answer["metadata"], "resourceVersion": "9"}
    mirror.put(answer)

    assert not mirror.put(copy.deepcopy(answer))


def test_a_complete_list_removes_what_is_not_in_it() -> None:
    mirror = Mirror()
    mirror.put(a_pod())

    mirror.keep_only("Pod", set(), version=5)

    assert [] == mirror.of(KEY)
    assert [] == mirror.keys()


def test_a_list_that_is_older_than_what_is_known_removes_nothing() -> None:
    mirror = Mirror()
    mirror.put(a_pod(9))

    mirror.keep_only("Pod", set(), version=8)

    assert 1 == len(mirror.of(KEY))


def test_objects_of_nobody_are_ignored() -> None:
    mirror = Mirror()
    stranger = a_pod()
    del stranger["metadata"]["labels"]

    assert not mirror.put(stranger)
    assert not mirror.drop(stranger)


def test_a_deleted_object_is_forgotten_once() -> None:
    mirror = Mirror()
    mirror.put(a_pod())

    assert {"uid-1"} == mirror.pod_uids()
    assert mirror.drop(a_pod())
    assert not mirror.drop(a_pod())


def test_of_the_spec_of_a_pod_only_the_names_of_its_claims_are_kept() -> None:
    mirror = Mirror()
    claims = {"resourceClaims": [{"name": "gpu", "resourceClaimName": "one"}], "containers": [{"name": "vllm"}]}
    mirror.put({**a_pod(), "spec": claims})

    assert {"resourceClaims": [{"name": "gpu"}]} == mirror.of(KEY)[0]["spec"]
    mirror.put(a_pod(2))
    assert "spec" not in mirror.of(KEY)[0]


def test_copies_in_two_namespaces_belong_to_their_reranker_and_do_not_replace_each_other() -> None:
    mirror = Mirror()
    (publication,) = serving().publications
    for number, namespace in enumerate(("shop", "till")):
        elsewhere = build_copy(publication, namespace)
        elsewhere["metadata"]["resourceVersion"] = str(number + 1)
        assert mirror.put(elsewhere)

    key = KEY
    assert ["shop", "till"] == sorted(obj["metadata"]["namespace"] for obj in mirror.of(key))
    assert {("ConfigMap", "shop"), ("ConfigMap", "till")} == mirror.places()
    mirror.keep_only("ConfigMap", {(key, "till/bge-milvus")}, 9)
    assert ["till"] == [obj["metadata"]["namespace"] for obj in mirror.of(key)]


def test_nothing_but_a_copy_belongs_to_a_reranker_of_another_namespace() -> None:
    foreign = a_pod()
    foreign["metadata"]["namespace"] = "shop"
    foreign["metadata"]["labels"][names.LABEL_SOURCE_NAMESPACE] = "search"
    (publication,) = serving().publications
    posing = copy.deepcopy(publication)
    posing["metadata"]["namespace"] = "shop"
    posing["metadata"]["labels"][names.LABEL_SOURCE_NAMESPACE] = "search"
    mirror = Mirror()
    for obj in (foreign, posing):
        mirror.put(obj)

        assert Key("shop", "bge") == owner_key(obj)
    assert [] == mirror.of(KEY)


def test_a_deleted_copy_is_forgotten_and_the_one_of_that_name_elsewhere_stays() -> None:
    mirror = Mirror()
    (publication,) = serving().publications
    copies = [build_copy(publication, namespace) for namespace in ("shop", "till")]
    for obj in copies:
        obj["metadata"]["resourceVersion"] = "1"
        mirror.put(obj)

    assert mirror.drop(copies[0])
    assert ["till"] == [obj["metadata"]["namespace"] for obj in mirror.of(KEY)]
