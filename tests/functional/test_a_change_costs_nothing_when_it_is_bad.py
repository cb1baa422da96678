"""A spec change: candidate, verified, switch, old one gone; and what happens when the candidate is bad."""

import json

from tests.doubles.pod_status import never_ready
from tests.functional.world import World


def active_revision(world: World) -> str:
    service = world.get("service", "bge")
    assert service is not None
    return str(service["spec"]["selector"]["rerank-operator.io/revision"])


def published_model(world: World) -> str:
    published = world.get("configmap", "bge-milvus") or {"data": {"RERANK_MODEL": ""}}
    return str(published["data"]["RERANK_MODEL"])


def test_another_model_is_brought_up_beside_the_old_one_and_then_takes_its_place(world: World) -> None:
    world.reranker(model="model-a")
    world.wait_for_reason("Ready")
    first = active_revision(world)
    world.misbehave("model-b", never_ready())
    world.reranker(model="model-b")

    ready = world.wait_for_reason("EngineStarting")
    assert f"Revision {first} keeps serving." in ready["message"]
    assert ("model-a", first) == (published_model(world), active_revision(world))
    assert 2 == len(world.objects("deployments"))

    world.misbehave("model-b", None)
    world.wait_for_reason("Ready")
    assert "model-b" == published_model(world)
    assert first != active_revision(world)
    world.wait_until(lambda: 1 == len(world.objects("deployments")))


def test_a_candidate_that_ranks_wrong_leaves_what_serves_untouched(world: World) -> None:
    world.reranker(model="model-a")
    world.wait_for_reason("Ready")
    before = (world.get("service", "bge"), world.get("configmap", "bge-milvus"))
    world.engine("model-b").mode = "wrong-order"
    world.reranker(model="model-b")

    world.wait_for_reason("RankingWrong")
    assert before == (world.get("service", "bge"), world.get("configmap", "bge-milvus"))

    world.reranker(model="model-a")
    world.wait_for_reason("Ready")
    assert before == (world.get("service", "bge"), world.get("configmap", "bge-milvus"))


def test_the_same_spec_is_the_same_revision_so_the_way_back_is_known(world: World) -> None:
    revisions = []
    for model in ("model-a", "model-b", "model-a"):
        world.reranker(model=model)
        world.wait_until(lambda: published_model(world) == model)  # noqa: B023 - called in this turn of the loop
        revisions.append(active_revision(world))

    assert revisions[0] == revisions[2]
    assert 2 == len(world.objects("controllerrevisions"))


def test_what_does_not_shape_a_pod_changes_no_pod(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    pods = {pod["metadata"]["uid"] for pod in world.objects("pods")}
    world.reranker(milvus={"maxClientBatchSize": 64, "inputField": "document"}, service={"port": 8080})

    endpoint = f"http://bge.{world.namespace}.svc:8080"
    world.wait_until(lambda: params(world)["endpoint"] == endpoint)
    assert (64, 64) == (params(world)["max_client_batch_size"], params(world)["max_batch"])
    assert pods == {pod["metadata"]["uid"] for pod in world.objects("pods")}


def test_replicas_change_in_place(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    first = active_revision(world)
    world.kubectl("scale", "rrs", "bge", "--replicas=3")

    world.wait_until(lambda: 3 == (world.get("rerankservice", "bge") or {})["status"]["readyReplicas"])
    assert first == active_revision(world)


def test_suspending_stops_the_pods_and_keeps_the_publication(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    before = world.get("configmap", "bge-milvus")
    world.reranker(suspend=True)

    world.wait_for_reason("Suspended")
    world.wait_until(lambda: [] == world.objects("pods"))
    assert before == world.get("configmap", "bge-milvus")

    world.reranker(suspend=False)
    world.wait_for_reason("Ready")


def test_another_name_for_the_config_map_moves_it(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.reranker(publish={"configMapName": "search-params"})

    world.wait_until(lambda: world.get("configmap", "search-params"))
    world.wait_until(lambda: world.get("configmap", "bge-milvus") is None)


def params(world: World) -> dict[str, object]:
    published = world.get("configmap", "bge-milvus")
    assert published is not None
    loaded: dict[str, object] = json.loads(published["data"]["params.json"])
    return loaded
