"""The main story on a real API server: from the resource to the published ConfigMap."""

import json

from rerank_operator.rerank.questions import questions_in
from tests.doubles.pod_status import never_ready
from tests.functional.world import World


def test_the_model_name_alone_is_enough(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    assert {"Progressing", "Stalled"} == {kind for kind, c in world.conditions().items() if c["status"] != "True"}
    published = world.get("configmap", "bge-milvus")
    assert published is not None
    assert {
        "reranker": "model",
        "provider": "vllm",
        "endpoint": f"http://bge.{world.namespace}.svc:8000",
        "max_client_batch_size": 256,
        "max_batch": 256,
        "truncate_prompt_tokens": -1,
    } == json.loads(published["data"]["params.json"])


def test_kubectl_get_shows_what_a_person_looks_for(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    header, row = world.kubectl("get", "rrs").splitlines()
    assert ["NAME", "READY", "REASON", "MODEL", "ENDPOINT", "CONFIG", "AGE"] == header.split()
    assert ["bge", "True", "Ready", "model-a", f"http://bge.{world.namespace}.svc:8000", "bge-milvus"] == row.split()[
        :-1
    ]


def test_nothing_is_published_and_no_service_exists_before_the_pod_is_ready(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.reranker()
    world.wait_for_reason("EngineStarting")
    world.settle()

    assert world.get("configmap", "bge-milvus") is None
    assert world.get("service", "bge") is None


def test_the_pods_are_asked_milvus_own_request_without_a_model_and_the_documented_one_with_it(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    asked = [(r.path, sorted(r.body)) for r in world.engine("model-a").requests if r.body]
    questions = [("/rerank", ["documents", "query"])] * len(questions_in(("en",)))
    assert [
        *questions,
        ("/v2/rerank", ["documents", "query"]),
        ("/v1/rerank", ["documents", "model", "query"]),
        ("/rerank", ["documents", "query", "truncate_prompt_tokens"]),
        ("/rerank", ["documents", "query", "truncate_prompt_tokens"]),
    ] == asked
    assert 256 == len(world.engine("model-a").requests[-1].body["documents"])


def test_the_service_selects_the_pods_of_one_revision_only(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    service = world.get("service", "bge")
    resource = world.get("rerankservice", "bge")
    assert service is not None
    assert resource is not None
    assert {
        "rerank-operator.io/reranker": "bge",
        "rerank-operator.io/revision": resource["status"]["activeRevision"],
    } == service["spec"]["selector"]


def test_every_replica_is_verified_before_anything_is_published(world: World) -> None:
    world.reranker(replicas=3)
    world.wait_for_reason("Ready")

    status = (world.get("rerankservice", "bge") or {})["status"]
    assert (3, 3) == (status["replicas"], status["readyReplicas"])
    assert 3 == len([r for r in world.engine("model-a").requests if r.path == "/v1/rerank"])


def test_no_object_carries_a_finalizer_and_the_resource_no_annotation(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    kinds = ("rerankservices", "deployments", "services", "configmaps", "controllerrevisions")
    objects = [o for kind in kinds for o in world.objects(kind) if o["metadata"]["name"] != "kube-root-ca.crt"]
    assert 6 == len(objects)
    assert [] == [o["metadata"]["name"] for o in objects if o["metadata"].get("finalizers")]
    assert {} == (world.get("rerankservice", "bge") or {})["metadata"].get("annotations", {})


def test_deleting_the_resource_leaves_nothing_behind(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.kubectl("delete", "rrs", "bge")

    world.wait_until(lambda: world.left_behind() == [])


def test_deleting_the_resource_leaves_nothing_behind_when_the_operator_went_first(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.operator.stop()
    world.kubectl("delete", "rrs", "bge")

    world.wait_until(lambda: world.left_behind() == [])
    world.operator.start()
