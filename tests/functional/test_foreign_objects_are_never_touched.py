"""Objects that hold our names and are not ours."""

import pytest

from rerank_operator.api.reasons import Reason
from tests.functional.world import Object, World
from tests.produces import produces

FOREIGN: dict[str, Object] = {
    "Service": {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bge"}, "spec": {"ports": [{"port": 80}]}},
    "ConfigMap": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bge-milvus"}, "data": {"a": "b"}},
}


@produces(Reason.NAME_CONFLICT, by="API server")
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_object_stops_the_reranker_before_a_model_is_loaded(world: World, kind: str) -> None:
    foreign = FOREIGN[kind]
    world.apply(foreign)
    before = world.get(kind, foreign["metadata"]["name"])
    world.reranker()

    ready = world.wait_for_reason("NameConflict")
    assert f"{kind} '{foreign['metadata']['name']}' exists and is not ours; it was not touched" in ready["message"]
    assert before == world.get(kind, foreign["metadata"]["name"])
    assert [] == world.objects("deployments")


@produces(Reason.NAME_CONFLICT, by="API server")
def test_a_foreign_deployment_with_the_name_of_a_revision_is_not_overwritten(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    name = world.objects("deployments")[0]["metadata"]["name"]
    world.kubectl("delete", "rrs", "bge")
    world.wait_until(lambda: world.left_behind() == [])
    world.kubectl("create", "deployment", name, "--image=localhost/other", "--replicas=0")
    before = world.get("deployment", name)
    world.reranker()

    world.wait_for_reason("NameConflict")
    assert (before or {})["spec"] == (world.get("deployment", name) or {})["spec"]


def test_a_reranker_that_is_created_anew_takes_over_from_the_garbage_collector(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.kubectl("delete", "rrs", "bge", "--wait=false")
    world.reranker()

    world.wait_for_reason("Ready")
    uid = (world.get("rerankservice", "bge") or {})["metadata"]["uid"]
    world.wait_until(
        lambda: {uid} == {o["metadata"]["ownerReferences"][0]["uid"] for o in world.objects("configmaps", OURS)}
    )


OURS = "app.kubernetes.io/managed-by=rerank-operator"
