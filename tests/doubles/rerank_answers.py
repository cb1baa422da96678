"""What vLLM 0.32 answers to a rerank request, right or wrong, as pure functions.

Shapes and messages are those recorded from the real server. Scores come from word overlap, so that the
document that repeats the words of the question wins; they are deterministic and lie between 0 and 1 like
those of a cross-encoder.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Mode(StrEnum):
    """How an engine double behaves; the value is what a test writes."""

    RIGHT = "right"
    CONSTANT_SCORES = "constant-scores"  # a model without its tokenizer
    HALF_SCORES = "half-scores"  # a language model without its prompt: all about 0.5, in no order
    LOGITS = "logits"  # right, and not between 0 and 1
    CONSTANT_WHEN_TRUNCATED = "constant-when-truncated"  # truncation eats the end of the prompt
    MISSING_RESULT = "missing-result"
    EXTRA_RESULT = "extra-result"
    DUPLICATE_INDEX = "duplicate-index"
    NAN_SCORE = "nan-score"
    NULL_SCORE = "null-score"
    STRING_SCORE = "string-score"
    WRONG_ORDER = "wrong-order"  # complete, but the best document gets the worst score
    OVERLONG_REJECTED = "overlong-rejected"  # truncate_prompt_tokens is ignored
    NO_RERANK_ROUTE = "no-rerank-route"  # the served model is no reranker
    NOT_VLLM = "not-vllm"  # another server: it has no route of ours
    WRONG_MODEL = "wrong-model"
    UNAUTHORIZED = "unauthorized"
    ENGINE_DEAD = "engine-dead"
    BUSY = "busy"
    SLOW = "slow"  # written "slow:2.5": right after 2.5 seconds
    HANG = "hang"
    CONNECTION_REFUSED = "connection-refused"


class Answer(NamedTuple):
    """An HTTP status and the JSON value of the body; ``pairs`` counts the documents scored for it."""

    status: int
    body: Any
    pairs: int = 0

    def encode(self) -> bytes:
        """Return the body as vLLM writes JSON, and NaN as the bare word that breaks strict parsers."""
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False).encode()


class ServedModel(NamedTuple):
    """What the engine serves; ``name`` None accepts every model name."""

    name: str | None = "tiny-reranker"
    max_model_len: int = 512


Results = list[dict[str, Any]]
REQUIRED_FIELDS = ("query", "documents")
ALONE = re.compile(r"[⺀-鿿぀-ヿ가-힣฀-๿]|\w+")


def error(status: int, message: str, kind: str, param: str | None = None) -> Answer:
    """Return an error in vLLM's nested shape."""
    return Answer(status, {"error": {"message": message, "type": kind, "param": param, "code": status}})


NO_ROUTE = Answer(404, {"detail": "Not Found"})
UNAUTHORIZED = Answer(401, {"error": "Unauthorized"})
ENGINE_DEAD = error(
    500,
    "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    "InternalServerError",
)
BUSY = error(
    503,
    "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.",
    "Service Unavailable",
)
NOT_ANSWERED: dict[Mode, Answer] = {
    Mode.NO_RERANK_ROUTE: NO_ROUTE,
    Mode.NOT_VLLM: NO_ROUTE,
    Mode.UNAUTHORIZED: UNAUTHORIZED,
    Mode.ENGINE_DEAD: ENGINE_DEAD,
    Mode.BUSY: BUSY,
}


PERMISSION = {
    "allow_create_engine": False,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}


def model_missing(name: str) -> Answer:
    """Return what vLLM says of a model that it does not serve."""
    return error(404, f"The model `{name}` does not exist.", "NotFoundError")


def models(served: ServedModel) -> Answer:
    """Answer GET /v1/models."""
    name = served.name or "any"
    model = {"id": name, "object": "model", "created": 0, "owned_by": "vllm", "root": name, "parent": None}
    permission = {"id": "modelperm-0", "object": "model_permission", "created": 0, **PERMISSION}
    limits = {"max_model_len": served.max_model_len, "permission": [permission]}
    return Answer(200, {"object": "list", "data": [{**model, **limits}]})


def rerank(body: bytes, served: ServedModel, mode: Mode, request_id: str) -> Answer:
    """Answer one POST to a rerank route."""
    if mode in NOT_ANSWERED:
        return NOT_ANSWERED[mode]
    request, refusal = parse(body)
    if refusal is not None:
        return refusal
    asked = request.get("model") or served.name or "any"
    if mode is Mode.WRONG_MODEL or served.name not in (None, asked):
        return model_missing(asked)
    documents = [request["documents"]] if isinstance(request["documents"], str) else request["documents"]
    tokens = [token_count(request["query"], document) for document in documents]
    refusal = length_refusal(request.get("truncate_prompt_tokens"), tokens, served.max_model_len, mode)
    if refusal is not None:
        return refusal
    results = misbehave(score_all(request["query"], documents), len(documents), mode)
    if mode is Mode.CONSTANT_WHEN_TRUNCATED and min(tokens) > served.max_model_len:
        results = constant_scores(results, len(documents))
    used = sum(min(count, served.max_model_len) for count in tokens)
    usage = {"prompt_tokens": used, "total_tokens": used}
    top = request.get("top_n") or len(results)
    answer = {"id": f"score-{request_id}", "model": asked, "usage": usage, "results": results[:top]}
    return Answer(HTTPStatus.OK, answer, len(documents))


def parse(body: bytes) -> tuple[dict[str, Any], Answer | None]:
    """Return the request, and the 400 of vLLM's validation when it does not hold."""
    try:
        request = json.loads(body) if body else None
    except ValueError:
        return {}, invalid("json_invalid", "body.1", "JSON decode error")
    if not isinstance(request, dict):
        return {}, invalid("missing", "body", "Field required")
    return request, next((refusal for refusal in field_refusals(request) if refusal), None)


def field_refusals(request: dict[str, Any]) -> list[Answer | None]:
    """Return the refusals of the fields that are missing, of the wrong type or out of range."""
    query, documents = request.get("query"), request.get("documents")
    listed = isinstance(documents, list) and all(isinstance(text, str) for text in documents)
    return [
        *(invalid("missing", f"body.{name}", "Field required") for name in REQUIRED_FIELDS if name not in request),
        None if isinstance(query, str) else not_a_string("query"),
        None if listed or isinstance(documents, str) else not_a_string("documents"),
        None if documents != [] else error(400, "At least one text_pair element must be given", "BadRequestError"),
        None
        if (request.get("top_n") or 0) >= 0
        else invalid("greater_than_equal", "body.top_n", "Input should be greater than or equal to 0"),
    ]


def invalid(kind: str, where: str, message: str) -> Answer:
    """Return a validation error as vLLM phrases it."""
    detail = {"type": kind, "loc": where, "msg": message}
    return error(400, f"1 validation error:\n  {detail}", "Bad Request", where)


def not_a_string(field: str) -> Answer:
    """Return the validation error of a query or of documents that are no text."""
    return invalid("string_type", f"body.{field}", "Input should be a valid string")


def length_refusal(truncate: int | None, tokens: list[int], limit: int, mode: Mode) -> Answer | None:
    """Return the 400 that one over-long document costs the whole request, unless truncation saves it."""
    if truncate is not None and truncate > limit:
        return error(
            400,
            "truncate_prompt_tokens value is greater than max_model_len. Please request a smaller truncation size.",
            "BadRequestError",
        )
    if (truncate is not None and mode is not Mode.OVERLONG_REJECTED) or max(tokens) <= limit:
        return None
    return error(
        400,
        f"This model's maximum context length is {limit} tokens. However, your prompt contains at least "
        f"{limit + 1} input tokens, which exceeds this limit even without any output tokens. Please reduce "
        f"the length of the input prompt. (parameter=input_tokens, value={limit + 1})",
        "BadRequestError",
        "input_tokens",
    )


def token_count(query: str, document: str) -> int:
    """Return how many tokens the pair has for this double: words, and three separators."""
    return len(ALONE.findall(query)) + len(ALONE.findall(document)) + 3


def score_all(query: str, documents: list[str]) -> Results:
    """Return the results in vLLM's order, best first."""
    results = [
        {
            "index": index,
            "document": {"text": text, "multi_modal": None},
            "relevance_score": score(query, text),
        }
        for index, text in enumerate(documents)
    ]
    return sorted(results, key=lambda result: -result["relevance_score"])


def score(query: str, document: str) -> float:
    """Return the share of the question's words that the document repeats, squeezed into 0 to 1.

    Scripts without spaces count character by character. The digest keeps two different documents apart that
    overlap equally, as a real model would; it is too small to change an order that the words decide.
    """
    words = set(ALONE.findall(query.casefold()))
    overlap = len(words & set(ALONE.findall(document.casefold()))) / max(1, len(words))
    digest = int.from_bytes(hashlib.blake2b(document.encode(), digest_size=4).digest(), "big") / 2**32
    return 1 / (1 + math.exp(-(10 * overlap - 6 + digest / 100)))


def misbehave(results: Results, documents: int, mode: Mode) -> Results:
    """Return the results as the mode spoils them."""
    return SPOILERS[mode](results, documents) if mode in SPOILERS else results


def with_scores(results: Results, scores: list[Any]) -> Results:
    """Return the results with other scores, in the same places."""
    return [{**result, "relevance_score": score} for result, score in zip(results, scores, strict=True)]


def first_score(value: object) -> Callable[[Results, int], Results]:
    """Return a spoiler that replaces the best score."""
    return lambda results, _: [{**results[0], "relevance_score": value}, *results[1:]]


def wrong_order(results: Results, _documents: int) -> Results:
    """Give the best document the worst score."""
    scores = [result["relevance_score"] for result in results]
    return with_scores(results[::-1], scores)


def constant_scores(results: Results, _documents: int) -> Results:
    """Give every document the same score, as a model that has no tokenizer does."""
    in_order = sorted(results, key=lambda result: int(result["index"]))
    return with_scores(in_order, list(itertools.repeat(0.3227576, len(results))))


def half_scores(results: Results, _documents: int) -> Results:
    """Give every document about 0.5, the worst one a little more."""
    return with_scores(results, [0.495 + 0.001 * place for place in range(len(results))])


def logits(results: Results, _documents: int) -> Results:
    """Give the scores before they are squeezed into 0 to 1."""
    return with_scores(results, [-math.log(1 / result["relevance_score"] - 1) * 2 for result in results])


def duplicate_index(results: Results, _documents: int) -> Results:
    """Name one document twice and another never."""
    return [*results[:-1], {**results[-1], "index": results[0]["index"] if len(results) > 1 else 1}]


SPOILERS: dict[Mode, Callable[[Results, int], Results]] = {
    Mode.CONSTANT_SCORES: constant_scores,
    Mode.HALF_SCORES: half_scores,
    Mode.LOGITS: logits,
    Mode.MISSING_RESULT: lambda results, _: results[:-1],
    Mode.EXTRA_RESULT: lambda results, documents: [*results, {**results[-1], "index": documents}],
    Mode.DUPLICATE_INDEX: duplicate_index,
    Mode.NAN_SCORE: first_score(math.nan),
    Mode.NULL_SCORE: first_score(None),
    Mode.STRING_SCORE: first_score("0.5"),
    Mode.WRONG_ORDER: wrong_order,
}
