"""Workers take keys from the queue and run rounds. An error of one key never stops another."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from rerank_operator.clients.errors import ClientError
from rerank_operator.controller.values import Key
from rerank_operator.controller.workqueue import WorkQueue

logger = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[float | None]]
#: Called after each round with its outcome (`ok`, `retry`, `bug`) and its seconds.
Observer = Callable[[str, float], None]


def start_workers(
    count: int, queue: WorkQueue[Key], reconcile: Reconcile, observe: Observer, synced: asyncio.Event
) -> list[asyncio.Task[None]]:
    """Start `count` workers; they begin when everything has been read once, and run until they are cancelled.

    Before that, a child that exists would look as if it were missing.
    """
    return [
        asyncio.create_task(_work(queue, reconcile, observe, synced), name=f"worker-{number}")
        for number in range(count)
    ]


async def _work(queue: WorkQueue[Key], reconcile: Reconcile, observe: Observer, synced: asyncio.Event) -> None:
    await synced.wait()
    while True:
        key = await queue.get()
        started = time.perf_counter()
        try:
            outcome = await _round(key, queue, reconcile)
        finally:
            queue.done(key)
        observe(outcome, time.perf_counter() - started)


async def _round(key: Key, queue: WorkQueue[Key], reconcile: Reconcile) -> str:
    try:
        again = await reconcile(key)
    except ClientError as error:
        seconds = queue.retry(key)
        logger.warning("a round failed", extra={"reranker": "/".join(key), "again_in": seconds, "error": str(error)})
        return "retry"
    except Exception:
        seconds = queue.retry(key)
        logger.exception("a round broke off", extra={"reranker": "/".join(key), "again_in": seconds})
        return "bug"
    queue.succeeded(key)
    if again is not None:
        queue.add_after(key, again)
    return "ok"
