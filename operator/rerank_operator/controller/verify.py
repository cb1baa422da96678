"""Ask model pods what Milvus would ask, beside the workers, and keep the verdicts."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import ApiRejected, ClientError
from rerank_operator.clients.kube import SECRETS, KubeClient
from rerank_operator.clients.vllm import EndpointUnreachable, NoAnswerInTime, VllmClient
from rerank_operator.controller.values import Key, Record, Target
from rerank_operator.engine.keys import keys_of
from rerank_operator.rerank.batch import Batch, batch_body, fitting, smaller
from rerank_operator.rerank.questions import GOLDEN
from rerank_operator.rerank.verdict import RIGHT, Verdict, judge, judge_batch

FIRST_RETRY_SECONDS: Final = 2.0
LONGEST_RETRY_SECONDS: Final = 60.0
# Milvus calls the first; the second is the documented health request, and carries the model's name.
MILVUS_ROUTE: Final = "/rerank"
NAMED_ROUTE: Final = "/v1/rerank"
_NO_KEY: Final = {401, 403}


class Verifier:
    """Runs verifications with a bound on how many run at once, and remembers the last verdict of each pod."""

    def __init__(self, kube: KubeClient, vllm: VllmClient, limit: int, wake: Callable[[Key], None]) -> None:
        self._kube = kube
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
        batch: Batch | None = None
        try:
            async with self._slots:
                key = await self._key(target)
                verdict = await ask(self._vllm, target, key)
                if verdict.right and target.batch:
                    verdict, batch = await measure(self._vllm, target, key)
        except LookupError as error:
            verdict = Verdict(Reason.UNAUTHORIZED, str(error))
        except ClientError:
            # The API server did not give the key: that says nothing about the pod.
            asyncio.get_running_loop().call_later(FIRST_RETRY_SECONDS, self._wake, target.key)
            return
        finally:
            del self._running[target.pod_uid]
        before = self._records.get(target.pod_uid)
        failures = 0 if verdict.right else (before.failures if before else 0) + 1
        pause = min(FIRST_RETRY_SECONDS * 2.0 ** max(0, failures - 1), LONGEST_RETRY_SECONDS)
        batch = batch or (before.batch if before else None)
        self._records[target.pod_uid] = Record(verdict, failures, time.time() + pause, batch)
        self._wake(target.key)

    async def _key(self, target: Target) -> str | None:
        """A key that callers use, read anew each time and kept nowhere; raises LookupError when there is none."""
        if target.secret is None:
            return None
        try:
            secret = await self._kube.get(SECRETS, target.key.namespace, target.secret)
        except ApiRejected as error:
            raise LookupError(f"The operator may not read Secret {target.secret!r}: {error}") from error
        keys = keys_of((secret or {}).get("data") or {})
        if not keys:
            raise LookupError(f"Secret {target.secret!r} holds no key")
        return keys[0]


async def ask(vllm: VllmClient, target: Target, key: str | None) -> Verdict:
    """Send every question to Milvus's route and the first one to the named route; the first wrong answer decides.

    Where there is a key, a request without it comes first, and must be refused.
    """
    requests = [(MILVUS_ROUTE, question, question.body()) for question in GOLDEN]
    requests.append((NAMED_ROUTE, GOLDEN[0], GOLDEN[0].body(target.model)))
    try:
        if key is not None:
            status, _ = await vllm.post(target.base_url, MILVUS_ROUTE, GOLDEN[0].body())
            if status not in _NO_KEY:
                return Verdict(Reason.KEY_NOT_ENFORCED, f"POST {MILVUS_ROUTE} without a key answered {status}")
        for route, question, body in requests:
            status, answer = await vllm.post(target.base_url, route, body, key)
            verdict = judge(route, question, status, answer)
            if not verdict.right:
                return verdict
    except EndpointUnreachable as error:
        return Verdict(Reason.ENDPOINT_UNREACHABLE, str(error))
    return RIGHT


async def measure(vllm: VllmClient, target: Target, key: str | None) -> tuple[Verdict, Batch | None]:
    """Find out how many of `target.batch` documents one request may hold."""
    size = target.batch
    while size:
        body = batch_body(size, truncate=target.truncate)
        started = time.monotonic()
        try:
            status, answer = await vllm.post(target.base_url, MILVUS_ROUTE, body, key)
        except NoAnswerInTime:
            size = smaller(size)
            continue
        except EndpointUnreachable as error:
            return Verdict(Reason.ENDPOINT_UNREACHABLE, str(error)), None
        seconds = time.monotonic() - started
        verdict = judge_batch(MILVUS_ROUTE, size, status, answer)
        if not verdict.right:
            return verdict, None
        if answered := fitting(size, seconds):
            return RIGHT, Batch(answered, target.batch)
        break
    return Verdict(Reason.TOO_SLOW_FOR_MILVUS), None
