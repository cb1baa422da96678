"""How an answer is judged."""

import json
from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.rerank.questions import GOLDEN
from rerank_operator.rerank.verdict import RIGHT, judge

FRANCE = GOLDEN[0]


def answer(*scores: Any, indices: tuple[int, ...] = (0, 1, 2)) -> bytes:
    results = [{"index": i, "relevance_score": s} for i, s in zip(indices, scores, strict=True)]
    return json.dumps({"id": "x", "model": "m", "results": results}).encode()


def test_the_right_document_on_top_is_right_whatever_the_order_of_results() -> None:
    assert RIGHT == judge("/rerank", FRANCE, 200, answer(0.1, 0.9, 0.0))
    assert RIGHT == judge("/rerank", FRANCE, 200, answer(0.9, 0.1, 0.0, indices=(1, 0, 2)))
    assert RIGHT == judge("/rerank", FRANCE, 200, answer(-8.1, 7.3, -11))


CASES: dict[str, tuple[Reason, str, int, bytes]] = {
    "wrong order": (Reason.RANKING_WRONG, "/rerank", 200, answer(0.9, 0.1, 0.0)),
    "all the same": (Reason.SCORES_CONSTANT, "/rerank", 200, answer(0.5, 0.5, 0.5)),
    "two of the same form the same": (Reason.SCORES_CONSTANT, "/rerank", 200, answer(0.32275765, 0.3227576, 0.1)),
    "one missing": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, indices=(0, 1))),
    "one twice": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, 0.0, indices=(0, 1, 1))),
    "one too many": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, 0, 0, indices=(0, 1, 2, 3))),
    "counted from one": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, 0.0, indices=(1, 2, 3))),
    "none": (Reason.INCOMPLETE_SCORES, "/rerank", 200, b'{"results": []}'),
    "not a number": (Reason.NON_FINITE_SCORES, "/rerank", 200, answer(0.1, float("nan"), 0.0)),
    "null": (Reason.NON_FINITE_SCORES, "/rerank", 200, answer(0.1, None, 0.0)),
    "text": (Reason.NON_FINITE_SCORES, "/rerank", 200, answer(0.1, "0.9", 0.0)),
    "a list": (Reason.ANSWER_MALFORMED, "/rerank", 200, b"[]"),
    "another shape": (Reason.ANSWER_MALFORMED, "/rerank", 200, b'{"data": []}'),
    "a web page": (Reason.ANSWER_MALFORMED, "/rerank", 200, b"<html>gateway</html>"),
    "a redirect": (Reason.ANSWER_MALFORMED, "/rerank", 302, b""),
    "no route": (Reason.RERANK_ROUTE_MISSING, "/rerank", 404, b'{"detail":"Not Found"}'),
    "no such model": (Reason.MODEL_NAME_MISMATCH, "/v1/rerank", 404, b"The model `x` does not exist."),
    "a key is wanted": (Reason.UNAUTHORIZED, "/rerank", 401, b'{"error":"Unauthorized"}'),
    "an engine that died": (Reason.ENGINE_ERROR, "/rerank", 500, b"EngineCore encountered an issue"),
    "refused input": (Reason.ENGINE_ERROR, "/rerank", 400, b"maximum context length"),
}


@pytest.mark.parametrize(("reason", "route", "status", "body"), CASES.values(), ids=CASES)
def test_each_fault_has_its_reason(reason: Reason, route: str, status: int, body: bytes) -> None:
    verdict = judge(route, FRANCE, status, body)

    assert reason is verdict.reason
    assert route in verdict.detail


def test_a_long_answer_is_quoted_in_part() -> None:
    assert 300 > len(judge("/rerank", FRANCE, 500, b"x" * 10_000).detail)


def test_the_first_question_is_the_one_of_milvus_documentation() -> None:
    assert {
        "model": "BAAI/bge-reranker-base",
        "query": "What is the capital of France?",
        "documents": [
            "The capital of Brazil is Brasilia.",
            "The capital of France is Paris.",
            "Horses and cows are both animals",
        ],
    } == FRANCE.body("BAAI/bge-reranker-base")
    assert "model" not in FRANCE.body()
