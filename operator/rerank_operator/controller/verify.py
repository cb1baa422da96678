"""Ask model pods and addresses what Milvus would ask, beside the workers, and keep the verdicts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from rerank_operator.api.reasons import Reason
from rerank_operator.clients.errors import ClientError
from rerank_operator.clients.kube import KubeClient
from rerank_operator.clients.vllm import VllmClient
from rerank_operator.controller.ask import ask, ask_again, ask_one
from rerank_operator.controller.decisions import Scope, Target
from rerank_operator.controller.records import next_record
from rerank_operator.controller.references import UnresolvedError, first_key
from rerank_operator.controller.values import Key, Record, key_of
from rerank_operator.rerank.finding import Endpoint, Finding
from rerank_operator.rerank.verdict import Verdict

# When the API server was away: it says nothing about the pod.
RETRY_SECONDS: Final = 2.0
# Pods that serve are asked a few at a time, so that a hundred new ones never wait behind a thousand old ones.
ROUTINE_SHARE: Final = 4
_ASK: Final[Mapping[Scope, Callable[[VllmClient, Endpoint, str | None], Awaitable[Finding]]]] = {
    Scope.EARLY: ask_one,
    Scope.EVERYTHING: ask,
    Scope.AGAIN: ask_again,
}


class Verifier:
    """Runs verifications with a bound on how many run at once, and remembers what each pod answered last."""

    def __init__(self, kube: KubeClient, vllm: VllmClient, limit: int, wake: Callable[[Key], None]) -> None:
        self._kube = kube
        self._vllm = vllm
        routine = asyncio.Semaphore(max(1, limit // ROUTINE_SHARE))
        self._slots = {Scope.EVERYTHING: asyncio.Semaphore(limit), Scope.AGAIN: routine, Scope.EARLY: routine}
        self._wake = wake
        self._running: dict[str, asyncio.Task[None]] = {}
        self._records: dict[str, Record] = {}
        self._early: dict[str, Record] = {}

    @property
    def records(self) -> Mapping[str, Record]:
        """What each pod that is ready, and each address, answered last."""
        return self._records

    @property
    def early(self) -> Mapping[str, Record]:
        """The same of pods that are not ready."""
        return self._early

    def start(self, targets: tuple[Target, ...]) -> bool:
        """Ask these pods unless that is already going on; says whether a pod is asked for the first time.

        The key is woken when there is a verdict.
        """
        new = [target for target in targets if target.subject not in self._running]
        for target in new:
            task = asyncio.create_task(self._run(target), name=f"verify {target.endpoint.base_url}")
            self._running[target.subject] = task
        return any(t.scope is Scope.EVERYTHING and t.subject not in self._records for t in new)

    def forget_all_but(self, pod_uids: set[str], keys: set[Key]) -> None:
        """Drop what is known of pods that are gone, and of addresses of rerankers that are gone."""
        for records in (self._records, self._early):
            for subject in set(records) - pod_uids:
                if key_of(subject) not in keys:
                    del records[subject]

    async def close(self) -> None:
        """Cancel what is running."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, target: Target) -> None:
        try:
            async with self._slots[target.scope]:
                key = await first_key(self._kube, target.key.namespace, target.secret)
                finding = await _ASK[target.scope](self._vllm, target.endpoint, key)
        except UnresolvedError as error:
            finding = Finding(Verdict(Reason.UNAUTHORIZED, str(error)))
        except ClientError:
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._wake, target.key)
            return
        finally:
            del self._running[target.subject]
        records = self._early if target.scope is Scope.EARLY else self._records
        if records is self._records:
            self._early.pop(target.subject, None)
        records[target.subject] = next_record(records.get(target.subject), finding, target, time.time())
        self._wake(target.key)
