"""The published batch size is one that the model answers well within Milvus's thirty seconds."""

import json

from tests.functional.world import World


def batch(world: World) -> tuple[int, int]:
    published = world.get("configmap", "bge-milvus")
    assert published is not None
    params = json.loads(published["data"]["params.json"])
    return params["max_client_batch_size"], params["max_batch"]


def measured(world: World) -> str:
    published = world.get("configmap", "bge-milvus")
    assert published is not None
    return str(published["metadata"]["annotations"]["rerank-operator.io/measured-batch-size"])


def sizes_asked(world: World) -> list[int]:
    asked = [len(request.body["documents"]) for request in world.engine("model-a").requests if request.body]
    return [size for size in asked if size > 3]


def test_a_fast_model_gets_the_batch_that_the_spec_asks_for(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")

    assert ((256, 256), "256 of 256", [256]) == (batch(world), measured(world), sizes_asked(world))


def test_a_slow_model_gets_a_smaller_one(world: World) -> None:
    world.engine("model-a").seconds_per_document = 0.05
    world.reranker()
    world.wait_for_reason("Ready", seconds=60)

    assert ((128, 128), "128 of 256") == (batch(world), measured(world))


def test_a_larger_batch_is_published_only_after_it_was_measured(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.reranker(milvus={"maxClientBatchSize": 1024})
    world.wait_until(lambda: (1024, 1024) == batch(world))
    world.reranker(milvus={"maxClientBatchSize": 64})
    world.wait_until(lambda: (64, 64) == batch(world))

    assert [256, 1024] == sizes_asked(world)


def test_a_restarted_operator_believes_what_was_measured(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    world.operator.kill()
    world.operator.start()
    world.settle()

    assert [256] == sizes_asked(world)


def test_a_batch_is_never_larger_than_what_the_guard_lets_through(world: World) -> None:
    world.reranker(engine={"maxDocuments": 100}, milvus={"maxClientBatchSize": 100})
    world.wait_for_reason("Ready")

    env = {e["name"]: e.get("value") for e in world.objects("pods")[0]["spec"]["containers"][0]["env"]}
    assert ("100", (100, 100)) == (env["RERANK_GUARD_MAX_DOCUMENTS"], batch(world))
