"""Judge a rerank answer the way Milvus depends on it.

Milvus checks almost nothing: a missing result gives documents the scores of others, an extra one is a panic, an
answer without results scores everything 0. So all of that is checked here, before anything is published.
"""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, Final

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments, ScoreScale
from rerank_operator.rerank.questions import Question

# Float32 scores of two different documents; closer than this and they are the same to a search.
MIN_SPREAD: Final = 1e-6
# A language model that is asked without its prompt hovers around this.
_UNDECIDED: Final = 0.5
_UNDECIDED_WIDTH: Final = 0.02
_OK: Final = 200
_BAD_REQUEST: Final = 400
_EXCERPT: Final = 200
# vLLM itself cannot write NaN as JSON, and answers 400 with these words (0.32), or 500 (older ones).
_NO_NUMBER: Final = b"not JSON compliant"
# On these Milvus names no model, so there only the route itself can be missing.
_ROUTES_WITHOUT_MODEL: Final = {"/rerank", "/v2/rerank"}


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of an answer: right when `reason` is RERANK_VERIFIED, else what is wrong and where.

    `scores` are in the order of the documents; empty where the answer was not complete.
    """

    reason: Reason
    detail: str = ""
    scores: tuple[float, ...] = dataclasses.field(default=(), compare=False)

    @property
    def right(self) -> bool:
        """Whether the pod ranks right."""
        return self.reason is Reason.RERANK_VERIFIED


RIGHT: Final = Verdict(Reason.RERANK_VERIFIED)


def judge(route: str, question: Question, status: int, body: bytes, *, lacks_template: bool = False) -> Verdict:
    """Judge the answer to `question` on `route`: HTTP status, shape, completeness, numbers, spread, order.

    `lacks_template` is whether the model is a language model that was given no prompt.
    """
    answer = _complete(route, question, status, body)
    if not answer.right:
        return answer
    scores = answer.scores
    seen = f"POST {route} for {question.query!r} scored {_shown(question, scores)}"
    reason = _fault_of(question, scores)
    if reason is None:
        return Verdict(Reason.RERANK_VERIFIED, scores=scores)
    undecided = all(abs(score - _UNDECIDED) <= _UNDECIDED_WIDTH for score in scores)
    return Verdict(Reason.TEMPLATE_MISSING if lacks_template or undecided else reason, seen, scores)


def judge_batch(route: str, size: int, status: int, body: bytes) -> Verdict:
    """Judge the answer to a request with `size` documents: only whether it is complete."""
    if status != _OK:
        return Verdict(
            _status_reason(route, status, body), f"POST {route} with {size} documents: {status} {_excerpt(body)}"
        )
    try:
        indices = {result["index"] for result in json.loads(body)["results"]}
    except (ValueError, KeyError, TypeError):
        return Verdict(Reason.ANSWER_MALFORMED, f"POST {route} with {size} documents: {_excerpt(body)}")
    if indices != set(range(size)):
        return Verdict(Reason.INCOMPLETE_SCORES, f"POST {route} with {size} documents answered {len(indices)}")
    return RIGHT


def judge_overlong(
    route: str, question: Question, status: int, body: bytes, *, truncated: bool
) -> tuple[OverlongDocuments, Verdict]:
    """What becomes of documents beyond the model's limit, asked with or without truncation, and whether it may be.

    Without truncation they are refused: that is the contract of models with a prompt, which truncation would cut off.
    """
    what = f"POST {route} with documents longer than the model's limit"
    if status == _BAD_REQUEST and _NO_NUMBER not in body:
        reason = Reason.OVERLONG_DOCUMENT_REJECTED if truncated else Reason.RERANK_VERIFIED
        seen = f"{what} answered {status}: {_excerpt(body)}" if truncated else ""
        return OverlongDocuments.REJECTED, Verdict(reason, seen)
    answer = _complete(route, question, status, body)
    if status != _OK:
        return OverlongDocuments.REJECTED, answer
    if answer.right and _spread(answer.scores) <= MIN_SPREAD:
        seen = f"{what}: once they are cut they all score {two_digits(answer.scores[0])}"
        answer = Verdict(Reason.SCORES_CONSTANT, seen, answer.scores)
    return OverlongDocuments.TRUNCATED, answer


def is_vllm(status: int, body: bytes) -> bool:
    """Whether an answer to GET /v1/models comes from a vLLM that serves a model."""
    return status == _OK and any(m.get("owned_by") == "vllm" or "max_model_len" in m for m in _models(body))


def max_length_of(body: bytes) -> int | None:
    """The model's limit in tokens, from the answer to GET /v1/models; None where it does not say."""
    lengths = [m["max_model_len"] for m in _models(body) if isinstance(m.get("max_model_len"), int)]
    return lengths[0] if lengths else None


def scale_of(scores: Sequence[float]) -> ScoreScale:
    """Whether all scores lie between 0 and 1."""
    return ScoreScale.ZERO_TO_ONE if all(0 <= score <= 1 for score in scores) else ScoreScale.UNBOUNDED


def two_digits(score: float) -> str:
    """A score with two significant digits and without an exponent: the rest differs from run to run."""
    if score == 0:
        return "0.0"
    decimals = max(0, 1 - math.floor(math.log10(abs(score))))
    return f"{score:.{decimals}f}"


def _complete(route: str, question: Question, status: int, body: bytes) -> Verdict:
    """Right, with the scores, when the answer holds exactly one finite number for each document."""
    if status != _OK:
        return Verdict(_status_reason(route, status, body), f"POST {route} answered {status}: {_excerpt(body)}")
    try:
        results = [(result["index"], result["relevance_score"]) for result in json.loads(body)["results"]]
    except (ValueError, KeyError, TypeError):
        return Verdict(Reason.ANSWER_MALFORMED, f"POST {route} answered without results: {_excerpt(body)}")
    count = len(question.documents)
    indices = [index for index, _ in results]
    if len(results) != count or set(map(str, indices)) != {str(i) for i in range(count)}:
        seen = f"POST {route} with {count} documents answered {len(results)} results, for documents {indices}"
        return Verdict(Reason.INCOMPLETE_SCORES, seen)
    if not all(_is_finite_number(score) for _, score in results):
        bad = next(score for _, score in results if not _is_finite_number(score))
        return Verdict(Reason.NON_FINITE_SCORES, f"POST {route} answered a score of {bad!r}")
    by_document = dict(results)
    return Verdict(Reason.RERANK_VERIFIED, scores=tuple(float(by_document[i]) for i in range(count)))


def _fault_of(question: Question, scores: tuple[float, ...]) -> Reason | None:
    best = scores[question.best]
    others = [score for index, score in enumerate(scores) if index != question.best]
    if _spread(scores) <= MIN_SPREAD:
        return Reason.SCORES_CONSTANT
    if max(others) - best > MIN_SPREAD:
        return Reason.RANKING_WRONG
    return Reason.SCORES_CONSTANT if any(abs(best - score) <= MIN_SPREAD for score in others) else None


def _spread(scores: Sequence[float]) -> float:
    return max(scores) - min(scores)


def _shown(question: Question, scores: tuple[float, ...]) -> str:
    others = ", ".join(two_digits(score) for index, score in enumerate(scores) if index != question.best)
    return f"{two_digits(scores[question.best])} for the right document, {others} for the others"


def _status_reason(route: str, status: int, body: bytes) -> Reason:
    if status in (401, 403):
        return Reason.UNAUTHORIZED
    if _NO_NUMBER in body:
        return Reason.NON_FINITE_SCORES
    if status == 404:  # noqa: PLR2004 - the HTTP status
        return Reason.RERANK_ROUTE_MISSING if route in _ROUTES_WITHOUT_MODEL else Reason.MODEL_NAME_MISMATCH
    return Reason.ENGINE_ERROR if status >= _BAD_REQUEST else Reason.ANSWER_MALFORMED


def _models(body: bytes) -> list[dict[str, Any]]:
    try:
        models = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return []
    return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []


def _is_finite_number(score: Any) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)


def _excerpt(body: bytes) -> str:
    text = " ".join(body.decode(errors="replace").split())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
