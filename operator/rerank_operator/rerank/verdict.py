"""Judge a rerank answer the way Milvus depends on it.

Milvus checks almost nothing: a missing result gives documents the scores of others, an extra one is a panic, an
answer without results scores everything 0. So all of that is checked here, before anything is published.
"""

import dataclasses
import json
import math
from typing import Any, Final

from rerank_operator.api.reasons import Reason
from rerank_operator.rerank.questions import Question

# Float32 scores of two different documents; closer than this and they are the same to a search.
MIN_SPREAD: Final = 1e-6
_OK: Final = 200
_ERROR_FROM: Final = 400
_EXCERPT: Final = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one pod: right when `reason` is RERANK_VERIFIED, else what is wrong and where."""

    reason: Reason
    detail: str = ""

    @property
    def right(self) -> bool:
        """Whether the pod ranks right."""
        return self.reason is Reason.RERANK_VERIFIED


RIGHT: Final = Verdict(Reason.RERANK_VERIFIED)


def judge(route: str, question: Question, status: int, body: bytes) -> Verdict:
    """Judge the answer to `question` on `route`: HTTP status, shape, completeness, numbers, order, spread."""
    if status != _OK:
        return Verdict(_status_reason(route, status), f"POST {route} answered {status}: {_excerpt(body)}")
    try:
        results = json.loads(body)["results"]
        scores = [(result["index"], result["relevance_score"]) for result in results]
    except (ValueError, KeyError, TypeError):
        return Verdict(Reason.ANSWER_MALFORMED, f"POST {route} answered without results: {_excerpt(body)}")
    return _judge_scores(route, question, scores)


def judge_batch(route: str, size: int, status: int, body: bytes) -> Verdict:
    """Judge the answer to a request with `size` documents: only whether it is complete."""
    if status != _OK:
        return Verdict(_status_reason(route, status), f"POST {route} with {size} documents: {status} {_excerpt(body)}")
    try:
        indices = {result["index"] for result in json.loads(body)["results"]}
    except (ValueError, KeyError, TypeError):
        return Verdict(Reason.ANSWER_MALFORMED, f"POST {route} with {size} documents: {_excerpt(body)}")
    if indices != set(range(size)):
        return Verdict(Reason.INCOMPLETE_SCORES, f"POST {route} with {size} documents answered {len(indices)}")
    return RIGHT


def _judge_scores(route: str, question: Question, scores: list[tuple[Any, Any]]) -> Verdict:
    count = len(question.documents)
    indices = [index for index, _ in scores]
    if len(scores) != count or set(map(str, indices)) != {str(i) for i in range(count)}:
        return Verdict(
            Reason.INCOMPLETE_SCORES,
            f"POST {route} with {count} documents answered {len(scores)} results, for documents {indices}",
        )
    if not all(_is_finite_number(score) for _, score in scores):
        return Verdict(Reason.NON_FINITE_SCORES, f"POST {route} answered scores {[s for _, s in scores]}")
    by_document = dict(scores)
    best = by_document[question.best]
    others = [score for index, score in by_document.items() if index != question.best]
    shown = f"{best:.6g} for the right document, {', '.join(f'{s:.6g}' for s in others)} for the others"
    if max(others) - best > MIN_SPREAD:
        return Verdict(Reason.RANKING_WRONG, f"POST {route} for {question.query!r} scored {shown}")
    if any(abs(best - score) <= MIN_SPREAD for score in others):
        return Verdict(Reason.SCORES_CONSTANT, f"POST {route} for {question.query!r} scored {shown}")
    return RIGHT


def _status_reason(route: str, status: int) -> Reason:
    if status in (401, 403):
        return Reason.UNAUTHORIZED
    if status == 404:  # noqa: PLR2004 - the HTTP status
        # Milvus's route carries no model, so there only the route itself can be missing.
        return Reason.RERANK_ROUTE_MISSING if route == "/rerank" else Reason.MODEL_NAME_MISMATCH
    return Reason.ENGINE_ERROR if status >= _ERROR_FROM else Reason.ANSWER_MALFORMED


def _is_finite_number(score: Any) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)


def _excerpt(body: bytes) -> str:
    text = " ".join(body.decode(errors="replace").split())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
