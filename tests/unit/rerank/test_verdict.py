"""How an answer is judged."""

import json
from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments, ScoreScale
from rerank_operator.rerank.questions import overlong, questions_in
from rerank_operator.rerank.verdict import (
    RIGHT,
    is_vllm,
    judge,
    judge_overlong,
    max_length_of,
    scale_of,
    two_digits,
)

FRANCE = questions_in(["en"])[0]


def answer(*scores: Any, indices: tuple[int, ...] = (0, 1, 2)) -> bytes:
    results = [{"index": i, "relevance_score": s} for i, s in zip(indices, scores, strict=True)]
    return json.dumps({"id": "x", "model": "m", "results": results}).encode()


def test_the_right_document_on_top_is_right_whatever_the_order_of_results() -> None:
    assert RIGHT == judge("/rerank", FRANCE, 200, answer(0.1, 0.9, 0.0))
    assert RIGHT == judge("/rerank", FRANCE, 200, answer(0.9, 0.1, 0.0, indices=(1, 0, 2)))
    assert RIGHT == judge("/rerank", FRANCE, 200, answer(-8.1, 7.3, -11))


CASES: dict[str, tuple[Reason, str, int, bytes]] = {
    "wrong order": (Reason.RANKING_WRONG, "/rerank", 200, answer(0.9, 0.1, 0.0)),
    "all the same": (Reason.SCORES_CONSTANT, "/rerank", 200, answer(0.32, 0.32, 0.32)),
    "all one half": (Reason.TEMPLATE_MISSING, "/rerank", 200, answer(0.5, 0.5, 0.5)),
    "all about one half in no order": (Reason.TEMPLATE_MISSING, "/rerank", 200, answer(0.51, 0.495, 0.49)),
    "two of the same form the same": (Reason.SCORES_CONSTANT, "/rerank", 200, answer(0.32275765, 0.3227576, 0.1)),
    "one missing": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, indices=(0, 1))),
    "one twice": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, 0.0, indices=(0, 1, 1))),
    "one too many": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, 0, 0, indices=(0, 1, 2, 3))),
    "counted from one": (Reason.INCOMPLETE_SCORES, "/rerank", 200, answer(0.1, 0.9, 0.0, indices=(1, 2, 3))),
    "none": (Reason.INCOMPLETE_SCORES, "/rerank", 200, b'{"results": []}'),
    "not a number": (Reason.NON_FINITE_SCORES, "/rerank", 200, answer(0.1, float("nan"), 0.0)),
    "what vLLM says of NaN": (
        Reason.NON_FINITE_SCORES,
        "/rerank",
        400,
        b'{"error":{"message":"Out of range float values are not JSON compliant: nan"}}',
    ),
    "null": (Reason.NON_FINITE_SCORES, "/rerank", 200, answer(0.1, None, 0.0)),
    "text": (Reason.NON_FINITE_SCORES, "/rerank", 200, answer(0.1, "0.9", 0.0)),
    "a list": (Reason.ANSWER_MALFORMED, "/rerank", 200, b"[]"),
    "another shape": (Reason.ANSWER_MALFORMED, "/rerank", 200, b'{"data": []}'),
    "a web page": (Reason.ANSWER_MALFORMED, "/rerank", 200, b"<html>gateway</html>"),
    "a redirect": (Reason.ANSWER_MALFORMED, "/rerank", 302, b""),
    "no route": (Reason.RERANK_ROUTE_MISSING, "/rerank", 404, b'{"detail":"Not Found"}'),
    "no route of Milvus 2.6.0": (Reason.RERANK_ROUTE_MISSING, "/v2/rerank", 404, b'{"detail":"Not Found"}'),
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


def test_a_model_that_needs_a_prompt_and_has_none_is_named_as_such_when_it_ranks_wrong() -> None:
    for scores in ((0.9, 0.1, 0.0), (0.3, 0.3, 0.3)):
        verdict = judge("/rerank", FRANCE, 200, answer(*scores), lacks_template=True)
        assert Reason.TEMPLATE_MISSING is verdict.reason
    assert RIGHT == judge("/rerank", FRANCE, 200, answer(0.1, 0.9, 0.0), lacks_template=True)


def test_scores_are_kept_in_the_order_of_the_documents() -> None:
    assert (0.1, 0.9, 0.0) == judge("/rerank", FRANCE, 200, answer(0.9, 0.1, 0.0, indices=(1, 0, 2))).scores


def test_last_digits_do_not_change_what_is_said() -> None:
    once, again = (
        judge("/rerank", FRANCE, 200, answer(*s)).detail for s in ((0.911, 0.2, 0.0031), (0.913, 0.2, 0.0031))
    )

    assert once == again
    assert once.endswith("scored 0.20 for the right document, 0.91, 0.0031 for the others")


LONG = overlong(512)
RIGHT_ORDER, WRONG_ORDER = answer(0.1, 0.9, indices=(0, 1)), answer(0.9, 0.1, indices=(0, 1))
OVERLONG: dict[str, tuple[bool, int, bytes, OverlongDocuments, Reason]] = {
    "cut": (True, 200, RIGHT_ORDER, OverlongDocuments.TRUNCATED, Reason.RERANK_VERIFIED),
    "cut in any order": (
        True,
        200,
        answer(0.9, 0.1, indices=(0, 1)),
        OverlongDocuments.TRUNCATED,
        Reason.RERANK_VERIFIED,
    ),
    "cut away": (True, 200, answer(0.5, 0.5, indices=(0, 1)), OverlongDocuments.TRUNCATED, Reason.SCORES_CONSTANT),
    "one lost": (True, 200, answer(0.5, indices=(0,)), OverlongDocuments.TRUNCATED, Reason.INCOMPLETE_SCORES),
    "refused in spite of truncation": (
        True,
        400,
        b"maximum context length",
        OverlongDocuments.REJECTED,
        Reason.OVERLONG_DOCUMENT_REJECTED,
    ),
    "refused as agreed": (False, 400, b"maximum context length", OverlongDocuments.REJECTED, Reason.RERANK_VERIFIED),
    "not a number": (True, 400, b"not JSON compliant: nan", OverlongDocuments.REJECTED, Reason.NON_FINITE_SCORES),
    "broken": (True, 500, b"EngineCore", OverlongDocuments.REJECTED, Reason.ENGINE_ERROR),
}


@pytest.mark.parametrize(("truncated", "status", "body", "found", "reason"), OVERLONG.values(), ids=OVERLONG)
def test_documents_beyond_the_limit(
    truncated: bool, status: int, body: bytes, found: OverlongDocuments, reason: Reason
) -> None:
    treatment, verdict = judge_overlong("/rerank", LONG, status, body, truncated=truncated)

    assert (found, reason) == (treatment, verdict.reason)


def test_a_vllm_is_known_by_its_list_of_models() -> None:
    listed = json.dumps({"object": "list", "data": [{"id": "m", "owned_by": "vllm", "max_model_len": 512}]}).encode()

    assert (True, 512) == (is_vllm(200, listed), max_length_of(listed))
    assert (False, None) == (is_vllm(404, b'{"detail":"Not Found"}'), max_length_of(b"<html>"))


@pytest.mark.parametrize(
    ("score", "shown"), [(0.0016, "0.0016"), (0.998, "1.00"), (-11.2, "-11"), (0.5, "0.50"), (0, "0.0"), (8.13, "8.1")]
)
def test_a_score_is_shown_with_two_digits(score: float, shown: str) -> None:
    assert shown == two_digits(score)


def test_the_scale_is_told_from_the_scores() -> None:
    assert ScoreScale.ZERO_TO_ONE is scale_of((0.0, 1.0))
    assert ScoreScale.UNBOUNDED is scale_of((-11.0, 8.0))


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
