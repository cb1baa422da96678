"""Whatever a model pod answers wrongly: no ConfigMap, no Service, and a reason with a remedy."""

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.doubles.rerank_answers import ServedModel
from tests.functional.world import World
from tests.produces import produces

WRONG = {
    "constant-scores": Reason.SCORES_CONSTANT,
    "missing-result": Reason.INCOMPLETE_SCORES,
    "extra-result": Reason.INCOMPLETE_SCORES,
    "duplicate-index": Reason.INCOMPLETE_SCORES,
    "nan-score": Reason.NON_FINITE_SCORES,
    "wrong-order": Reason.RANKING_WRONG,
    "no-rerank-route": Reason.NOT_A_RERANKER,
    "not-vllm": Reason.RERANK_ROUTE_MISSING,
    "half-scores": Reason.TEMPLATE_MISSING,
    "constant-when-truncated": Reason.SCORES_CONSTANT,
    "overlong-rejected": Reason.OVERLONG_DOCUMENT_REJECTED,
    "hang": Reason.ENGINE_UNRESPONSIVE,
    "unauthorized": Reason.UNAUTHORIZED,
    "engine-dead": Reason.ENGINE_ERROR,
    "connection-refused": Reason.ENDPOINT_UNREACHABLE,
}


@produces(*WRONG.values(), by="double")
def test_each_wrong_answer_is_named_and_nothing_is_published_until_it_is_right(world: World) -> None:
    for number, mode in enumerate(WRONG):
        world.engine(f"model-{number}").mode = mode
        world.reranker(name=f"bge-{number}", model=f"model-{number}", verification={"timeoutSeconds": 2})

    for number, (mode, reason) in enumerate(WRONG.items()):
        ready = world.wait_for_reason(reason.value, name=f"bge-{number}")
        assert "False" == ready["status"], mode
        assert MEANINGS[reason].remedy in ready["message"], mode
        assert world.get("configmap", f"bge-{number}-milvus") is None, mode
        assert world.get("service", f"bge-{number}") is None, mode

    for number in range(len(WRONG)):
        world.engine(f"model-{number}").mode = "right"
    for number in range(len(WRONG)):
        world.wait_for_reason("Ready", name=f"bge-{number}")


def test_a_slow_engine_is_waited_for_and_blocks_no_other_reranker(world: World) -> None:
    world.engine("model-slow").mode = "slow:3"
    world.reranker(name="slow", model="model-slow")
    world.wait_until(lambda: world.engine("model-slow").requests)
    world.reranker(name="fast", model="model-fast")
    world.wait_for_reason("Ready", name="fast")

    world.wait_for_reason("Verifying", name="slow")
    world.wait_for_reason("Ready", name="slow", seconds=30)


@produces(Reason.MODEL_NAME_MISMATCH, by="double")
def test_a_wrong_answer_of_the_model_name_is_told_apart_from_a_missing_route(world: World) -> None:
    world.engine("model-a").served = ServedModel("another", 512)
    world.reranker()

    ready = world.wait_for_reason("ModelNameMismatch")
    assert "/v1/rerank" in ready["message"]


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_reranker_that_goes_wrong_keeps_its_publication(world: World, replicas: int) -> None:
    world.reranker(replicas=replicas)
    world.wait_for_reason("Ready")
    before = world.get("configmap", "bge-milvus")

    world.engine("model-a").mode = "constant-scores"
    world.kubectl("delete", "pod", "-l", "rerank-operator.io/reranker=bge", "--wait=false")
    world.wait_for_reason("ScoresConstant")

    assert before == world.get("configmap", "bge-milvus")
