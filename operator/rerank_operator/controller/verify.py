"""Ask model pods what Milvus would ask, beside the workers, and keep the verdicts."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from rerank_operator.api.conditions import Reason
from rerank_operator.clients.vllm import EndpointUnreachable, VllmClient
from rerank_operator.controller.values import Key, Record, Target
from rerank_operator.rerank.questions import GOLDEN
from rerank_operator.rerank.verdict import RIGHT, Verdict, judge

FIRST_RETRY_SECONDS: Final = 2.0
LONGEST_RETRY_SECONDS: Final = 60.0
# Milvus calls the first; the second is the documented health request, and carries the model's name.
MILVUS_ROUTE: Final = "/rerank"
NAMED_ROUTE: Final = "/v1/rerank"


class Verifier:
    """Runs verifications with a bound on how many run at once, and remembers the last verdict of each pod."""

    def __init__(self, vllm: VllmClient, limit: int, wake: Callable[[Key], None]) -> None:
        self._vllm = vllm
        self._slots = asyncio.Semaphore(limit)
        self._wake = wake
        self._running: dict[str, asyncio.Task[None]] = {}
        self._records: dict[str, Record] = {}

    @property
    def records(self) -> Mapping[str, Record]:
        """The last verdict of each pod, by its uid."""
        return self._records

    def start(self, targets: tuple[Target, ...]) -> bool:
        """Verify these pods unless that is already going on; says whether any was started.

        The key is woken when there is a verdict.
        """
        new = [target for target in targets if target.pod_uid not in self._running]
        for target in new:
            task = asyncio.create_task(self._run(target), name=f"verify {target.base_url}")
            self._running[target.pod_uid] = task
        return bool(new)

    def forget_all_but(self, pod_uids: set[str]) -> None:
        """Drop the verdicts of pods that are gone."""
        for uid in set(self._records) - pod_uids:
            del self._records[uid]

    async def close(self) -> None:
        """Cancel what is running."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, target: Target) -> None:
        try:
            async with self._slots:
                verdict = await ask(self._vllm, target.base_url, target.model)
        finally:
            del self._running[target.pod_uid]
        before = self._records.get(target.pod_uid)
        failures = 0 if verdict.right else (before.failures if before else 0) + 1
        pause = min(FIRST_RETRY_SECONDS * 2.0 ** max(0, failures - 1), LONGEST_RETRY_SECONDS)
        now = asyncio.get_running_loop().time()
        self._records[target.pod_uid] = Record(verdict, failures, now + pause)
        self._wake(target.key)


async def ask(vllm: VllmClient, base_url: str, model: str) -> Verdict:
    """Send every question to Milvus's route and the first one to the named route; the first wrong answer decides."""
    requests = [(MILVUS_ROUTE, question, question.body()) for question in GOLDEN]
    requests.append((NAMED_ROUTE, GOLDEN[0], GOLDEN[0].body(model)))
    for route, question, body in requests:
        try:
            status, answer = await vllm.post(base_url, route, body)
        except EndpointUnreachable as error:
            return Verdict(Reason.ENDPOINT_UNREACHABLE, str(error))
        verdict = judge(route, question, status, answer)
        if not verdict.right:
            return verdict
    return RIGHT
