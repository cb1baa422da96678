"""Real servers that are healthy and must never be published, asked the way the operator asks them.

The last tests stop and kill the engine of the one that is right.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments
from rerank_operator.clients.vllm import VllmClient
from rerank_operator.controller.ask import ask
from rerank_operator.rerank.finding import Endpoint, Finding
from rerank_operator.rerank.questions import questions_in
from tests.engine.broken_models import break_model, ensure_untrained
from tests.engine.forked_vllm import Forge, ForkedVllm, Start
from tests.engine.tiny_reranker import ensure_broken_models, ensure_model
from tests.produces import produces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
NAME = "tiny-reranker"
SOON = 3.0
# How a language model becomes a judge: the probability of one word against another.
JUDGE = {
    "architectures": ["Qwen3ForSequenceClassification"],
    "classifier_from_token": ["no", "yes"],
    "is_original_qwen3_reranker": True,
}


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    with Forge() as forge:
        yield forge


@pytest.fixture(scope="module")
def reranker(forge: Forge) -> Iterator[ForkedVllm]:
    with served(forge, ensure_model()) as server:
        yield server


@pytest.fixture(scope="module")
def judge(forge: Forge) -> Iterator[ForkedVllm]:
    """A language model that judges documents, and was given no template to ask it with."""
    with served(forge, ensure_untrained("language-model"), "--hf-overrides", json.dumps(JUDGE)) as server:
        yield server


@contextlib.contextmanager
def served(forge: Forge, model: Path, *arguments: str) -> Iterator[ForkedVllm]:
    server = forge.start(Start([str(model), "--served-model-name", NAME, *arguments]))
    try:
        yield server.wait_until_healthy()
    finally:
        server.kill()


def found_in(server: ForkedVllm, key: str | None = None, **changes: Any) -> Finding:
    """Ask everything, as an endpoint whose documents are truncated unless `changes` say otherwise."""
    asked = {"base_url": server.url, "model": NAME, "questions": questions_in(["en"])} | changes

    async def with_a_client() -> Finding:
        client = VllmClient.connect()
        try:
            return await ask(client, Endpoint(**asked), key)
        finally:
            await client.close()

    return asyncio.run(with_a_client())


@pytest.mark.parametrize(
    ("truncate", "overlong"), [(True, OverlongDocuments.TRUNCATED), (False, OverlongDocuments.REJECTED)]
)
def test_a_reranker_is_right(reranker: ForkedVllm, truncate: bool, overlong: OverlongDocuments) -> None:
    found = found_in(reranker, truncate=truncate, batch=32)
    assert found.verdict.right, found
    assert (overlong, 32) == (found.overlong, found.batch and found.batch.answered)


@produces(Reason.MODEL_NAME_MISMATCH, by="vLLM")
def test_a_model_of_another_name_is_named(reranker: ForkedVllm) -> None:
    assert Reason.MODEL_NAME_MISMATCH == found_in(reranker, model="another-name").verdict.reason


@produces(Reason.KEY_NOT_ENFORCED, by="vLLM")
def test_an_engine_that_lets_everybody_in_is_no_engine_with_a_key(reranker: ForkedVllm) -> None:
    assert Reason.KEY_NOT_ENFORCED == found_in(reranker, key="a-key").verdict.reason


@produces(Reason.UNAUTHORIZED, by="vLLM")
def test_a_key_of_vllm_itself_breaks_the_routes_that_milvus_calls(forge: Forge) -> None:
    with served(forge, ensure_model(), "--api-key", "a-key-of-vllm") as server:
        assert Reason.UNAUTHORIZED == found_in(server).verdict.reason


@produces(Reason.NOT_A_RERANKER, by="vLLM")
def test_a_classifier_with_two_labels_is_no_reranker(forge: Forge) -> None:
    with served(forge, ensure_broken_models()["two-labels"]) as server:
        assert Reason.NOT_A_RERANKER == found_in(server).verdict.reason


@produces(Reason.NOT_A_RERANKER, by="vLLM")
@pytest.mark.parametrize("arguments", [("--runner", "generate"), ("--convert", "classify")])
def test_a_language_model_that_was_not_told_to_judge_is_no_reranker(forge: Forge, arguments: tuple[str, ...]) -> None:
    with served(forge, ensure_untrained("language-model"), *arguments) as server:
        assert Reason.NOT_A_RERANKER == found_in(server).verdict.reason


@produces(Reason.TEMPLATE_MISSING, by="vLLM")
def test_a_judge_without_its_template_lacks_it(judge: ForkedVllm) -> None:
    assert Reason.TEMPLATE_MISSING == found_in(judge, lacks_template=True).verdict.reason


@produces(Reason.RANKING_WRONG, by="vLLM")
def test_a_judge_that_learned_nothing_ranks_wrong(judge: ForkedVllm) -> None:
    assert Reason.RANKING_WRONG == found_in(judge).verdict.reason


@produces(Reason.SCORES_CONSTANT, by="vLLM")
def test_a_model_without_its_tokenizer_scores_all_documents_the_same(forge: Forge) -> None:
    with served(forge, ensure_broken_models()["no-tokenizer"]) as server:
        assert Reason.SCORES_CONSTANT == found_in(server).verdict.reason


@produces(Reason.NON_FINITE_SCORES, by="vLLM")
def test_scores_that_are_no_numbers_are_found(forge: Forge, tmp_path: Path) -> None:
    with served(forge, break_model(ensure_model(), "no-number", tmp_path)) as server:
        found = found_in(server)
        assert Reason.NON_FINITE_SCORES == found.verdict.reason, found


@produces(Reason.ENGINE_ERROR, by="vLLM")
def test_an_engine_that_dies_of_the_first_request_is_never_right(forge: Forge) -> None:
    with served(forge, ensure_untrained("narrow-heads")) as server:
        # The server ends a moment after its engine; whether it answers before that is a matter of luck.
        assert found_in(server).verdict.reason in {Reason.ENGINE_ERROR, Reason.ENDPOINT_UNREACHABLE}
        assert 0 == server.wait()


@produces(Reason.ENGINE_UNRESPONSIVE, by="vLLM")
def test_an_engine_that_hangs_is_found_and_right_again_when_it_goes_on(reranker: ForkedVllm) -> None:
    engine = reranker.engine()
    os.kill(engine, signal.SIGSTOP)
    try:
        assert Reason.ENGINE_UNRESPONSIVE == found_in(reranker, timeout=SOON).verdict.reason
    finally:
        os.kill(engine, signal.SIGCONT)
    assert found_in(reranker).verdict.right


@produces(Reason.ENDPOINT_UNREACHABLE, by="vLLM")
def test_a_server_ends_without_an_error_when_its_engine_is_killed(reranker: ForkedVllm) -> None:
    os.kill(reranker.engine(), signal.SIGKILL)
    assert 0 == reranker.wait()
    assert Reason.ENDPOINT_UNREACHABLE == found_in(reranker).verdict.reason
