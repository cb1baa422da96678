"""What a verification makes of an API server that does not give the key, and of pods in their several states."""

import asyncio
import dataclasses
import json
from typing import Any, cast

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import ApiRejected, ApiUnavailable
from rerank_operator.clients.vllm import NoAnswerInTime, VllmClient
from rerank_operator.controller import verify
from rerank_operator.controller.ask import measure
from rerank_operator.controller.decisions import Scope, Target
from rerank_operator.controller.values import Key, Record
from rerank_operator.controller.verify import Verifier
from rerank_operator.rerank.batch import Batch
from rerank_operator.rerank.finding import Endpoint
from rerank_operator.rerank.questions import questions_in

ENDPOINT = Endpoint("http://127.0.0.1:1", "m", questions_in(("en",)))
TARGET = Target(Key("search", "bge"), "uid-of-pod", Scope.EVERYTHING, ENDPOINT, secret="callers")  # noqa: S106 - its name


class Kube:
    """An API server that answers each look for a Secret in one way."""

    def __init__(self, answer: Exception | dict[str, Any] | None) -> None:
        self._answer = answer

    async def get(self, *_: object) -> dict[str, Any] | None:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def record_of(answer: Exception | dict[str, Any] | None) -> Record | None:
    """What is remembered of a pod once its verification woke the reranker."""

    async def story() -> Record | None:
        woken = asyncio.Event()
        vllm = VllmClient.connect()
        verifier = Verifier(cast("Any", Kube(answer)), vllm, 1, lambda _: woken.set())
        verifier.start((TARGET,))
        await asyncio.wait_for(woken.wait(), 5)
        await vllm.close()
        return verifier.records.get(TARGET.subject)

    return asyncio.run(story())


@pytest.mark.parametrize("answer", [None, {"data": {}}, ApiRejected("secrets is forbidden")])
def test_without_a_key_the_pod_cannot_be_called(answer: Exception | dict[str, Any] | None) -> None:
    record = record_of(answer)

    assert record is not None
    assert Reason.UNAUTHORIZED is record.verdict.reason
    assert "callers" in record.verdict.detail


def test_an_api_server_that_is_away_says_nothing_about_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "RETRY_SECONDS", 0.01)

    assert None is record_of(ApiUnavailable("503"))


class Engine:
    """A model pod that answers requests of at most `fits` documents, and larger ones not at all."""

    def __init__(self, fits: int) -> None:
        self._fits = fits
        self.sizes: list[int] = []

    async def post(
        self, _url: str, _route: str, body: dict[str, Any], _key: str | None = None, **_: object
    ) -> tuple[int, bytes]:
        size = len(body["documents"])
        self.sizes.append(size)
        if size > self._fits:
            raise NoAnswerInTime("30 s")
        results = [{"index": index, "relevance_score": 0.5} for index in range(size)]
        return 200, json.dumps({"results": results}).encode()


@pytest.mark.parametrize(
    ("fits", "sizes", "reason", "batch"),
    [
        (256, [256], Reason.RERANK_VERIFIED, Batch(256, 256)),
        (100, [256, 64], Reason.RERANK_VERIFIED, Batch(64, 256)),
        (1, [256, 64, 16], Reason.TOO_SLOW_FOR_MILVUS, None),
    ],
)
def test_a_batch_without_an_answer_is_tried_with_a_quarter(
    fits: int, sizes: list[int], reason: Reason, batch: Batch | None
) -> None:
    engine = Engine(fits)
    endpoint = dataclasses.replace(ENDPOINT, batch=256)
    verdict, measured = asyncio.run(measure(cast("Any", engine), endpoint, None))

    assert (sizes, reason, batch) == (engine.sizes, verdict.reason, measured)
