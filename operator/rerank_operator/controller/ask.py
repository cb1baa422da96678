"""Ask an endpoint what Milvus would ask, and judge the answers. Knows nothing of pods: a terminal asks the same."""

import dataclasses
import time
from typing import Any, Final

from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import OverlongDocuments
from rerank_operator.clients.vllm import EndpointUnreachable, NoAnswerInTime, VllmClient
from rerank_operator.rerank.batch import Batch, batch_body, fitting, smaller
from rerank_operator.rerank.finding import Check, Endpoint, Finding
from rerank_operator.rerank.questions import Question, overlong
from rerank_operator.rerank.verdict import (
    RIGHT,
    Verdict,
    is_vllm,
    judge,
    judge_batch,
    judge_overlong,
    max_length_of,
)

# Milvus calls the first since 2.6.1 and called the second before; the third is the documented health request, and
# carries the model's name.
MILVUS_ROUTE: Final = "/rerank"
FORMER_MILVUS_ROUTE: Final = "/v2/rerank"
NAMED_ROUTE: Final = "/v1/rerank"
MODELS_ROUTE: Final = "/v1/models"
# A longer document is a megabyte of text, and minutes of an engine's time.
LONGEST_OVERLONG: Final = 32768
_NO_KEY: Final = {401, 403}


async def ask(vllm: VllmClient, endpoint: Endpoint, key: str | None) -> Finding:
    """Everything: all routes and questions, an overlong document, a large batch. The first wrong answer ends it.

    Where there is a key, a request without it comes first, and must be refused.
    """
    asking = _Asking(vllm, endpoint, key)
    right = (
        await asking.without_the_key()
        and await asking.questions(endpoint.questions)
        and (not endpoint.former_route or await asking.question(FORMER_MILVUS_ROUTE, endpoint.questions[0]))
        and await asking.question(NAMED_ROUTE, endpoint.questions[0], endpoint.model)
    )
    if right and endpoint.overlong:
        right = await asking.overlong_documents()
    if right and endpoint.batch:
        await asking.batch()
    return asking.finding


async def ask_again(vllm: VllmClient, endpoint: Endpoint, key: str | None) -> Finding:
    """Only the questions, one after another: what can go wrong with an endpoint that was right."""
    asking = _Asking(vllm, endpoint, key)
    await asking.questions(endpoint.questions)
    return asking.finding


async def ask_one(vllm: VllmClient, endpoint: Endpoint, key: str | None) -> Finding:
    """Only the first question: what an engine that starts says, if it says anything yet."""
    asking = _Asking(vllm, endpoint, key)
    await asking.questions(endpoint.questions[:1])
    return asking.finding


class _Asking:
    """One endpoint being asked; `finding` grows with each answer."""

    def __init__(self, vllm: VllmClient, endpoint: Endpoint, key: str | None) -> None:
        self._vllm = vllm
        self._endpoint = endpoint
        self._key = key
        self.finding = Finding(RIGHT)

    async def without_the_key(self) -> bool:
        """Whether a request without the key is refused; nothing to ask where there is no key."""
        if self._key is None:
            return True
        question = self._endpoint.questions[0]
        what = f"POST {MILVUS_ROUTE} without a key"
        started = time.monotonic()
        try:
            status, _ = await self._post(MILVUS_ROUTE, question.body(), None)
            refused = status in _NO_KEY
            verdict = RIGHT if refused else Verdict(Reason.KEY_NOT_ENFORCED, f"{what} answered {status}")
        except EndpointUnreachable as error:
            verdict = unanswered(error)
        return self._note(what, verdict, started)

    async def questions(self, questions: tuple[Question, ...]) -> bool:
        """Whether every question is answered right on Milvus's route."""
        for question in questions:
            if not await self.question(MILVUS_ROUTE, question):
                return False
        return True

    async def question(self, route: str, question: Question, model: str | None = None) -> bool:
        """Whether one question is answered right on a route."""
        started = time.monotonic()
        try:
            status, answer = await self._post(route, question.body(model), self._key)
            verdict = judge(route, question, status, answer, lacks_template=self._endpoint.lacks_template)
            if verdict.reason is Reason.RERANK_ROUTE_MISSING and await self._is_vllm():
                verdict = dataclasses.replace(verdict, reason=Reason.NOT_A_RERANKER)
        except EndpointUnreachable as error:
            verdict = unanswered(error)
        seconds = time.monotonic() - started
        right = self._note(f"POST {route} {question.query!r}", verdict, started)
        if right:
            fastest = min(seconds, self.finding.seconds or seconds)
            scores = (*self.finding.scores, *verdict.scores)
            self.finding = dataclasses.replace(self.finding, seconds=fastest, scores=scores)
        return right

    async def overlong_documents(self) -> bool:
        """Whether documents beyond the model's limit do what is published; True where that limit is not known."""
        limit = self._endpoint.max_length or await self._served_max_length()
        if limit is None or limit > LONGEST_OVERLONG:
            return True
        question, truncated = overlong(limit), self._endpoint.truncate
        body = question.body(truncate=-1 if truncated else None)
        started = time.monotonic()
        try:
            status, answer = await self._post(MILVUS_ROUTE, body, self._key)
            found, verdict = judge_overlong(MILVUS_ROUTE, question, status, answer, truncated=truncated)
        except NoAnswerInTime:
            # Slow, not wrong: searches without such documents are not concerned. The status says it.
            found, verdict = OverlongDocuments.NOT_ANSWERED, RIGHT
        except EndpointUnreachable as error:
            found, verdict = None, unanswered(error)
        self.finding = dataclasses.replace(self.finding, overlong=found)
        return self._note(f"POST {MILVUS_ROUTE} with documents longer than {limit} tokens", verdict, started)

    async def batch(self) -> bool:
        """Find out how many of the wanted documents one request may hold."""
        started = time.monotonic()
        verdict, batch = await measure(self._vllm, self._endpoint, self._key)
        self.finding = dataclasses.replace(self.finding, batch=batch)
        return self._note(f"POST {MILVUS_ROUTE} with {self._endpoint.batch} documents", verdict, started)

    def _note(self, name: str, verdict: Verdict, started: float) -> bool:
        check = Check(name, verdict, time.monotonic() - started)
        self.finding = dataclasses.replace(self.finding, verdict=verdict, checks=(*self.finding.checks, check))
        return verdict.right

    async def _post(self, route: str, body: dict[str, Any], key: str | None) -> tuple[int, bytes]:
        endpoint = self._endpoint
        return await self._vllm.post(endpoint.base_url, route, body, key, timeout=endpoint.timeout)

    async def _models(self) -> tuple[int, bytes]:
        try:
            return await self._vllm.get(self._endpoint.base_url, MODELS_ROUTE, self._key)
        except EndpointUnreachable:
            return 0, b""

    async def _is_vllm(self) -> bool:
        return is_vllm(*await self._models())

    async def _served_max_length(self) -> int | None:
        _, body = await self._models()
        return max_length_of(body)


def unanswered(error: EndpointUnreachable) -> Verdict:
    """What no answer means: an engine that took the request and hangs, or nothing that could be reached."""
    hangs = isinstance(error, NoAnswerInTime)
    return Verdict(Reason.ENGINE_UNRESPONSIVE if hangs else Reason.ENDPOINT_UNREACHABLE, str(error))


async def measure(vllm: VllmClient, endpoint: Endpoint, key: str | None) -> tuple[Verdict, Batch | None]:
    """How many of `endpoint.batch` documents one request may hold; Milvus's own limit counts, not the endpoint's."""
    size = endpoint.batch
    while size:
        body = batch_body(size, truncate=endpoint.truncate)
        started = time.monotonic()
        try:
            status, answer = await vllm.post(endpoint.base_url, MILVUS_ROUTE, body, key)
        except NoAnswerInTime:
            size = smaller(size)
            continue
        except EndpointUnreachable as error:
            return unanswered(error), None
        seconds = time.monotonic() - started
        verdict = judge_batch(MILVUS_ROUTE, size, status, answer)
        if not verdict.right:
            return verdict, None
        if answered := fitting(size, seconds):
            return RIGHT, Batch(answered, endpoint.batch)
        break
    return Verdict(Reason.TOO_SLOW_FOR_MILVUS), None
