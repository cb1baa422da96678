"""Act on a cluster, and know when so many objects were Ready."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

from tests.bench.api import Api, Object
from tests.bench.errors import BenchError
from tests.bench.rerankers import is_ready

# Many times what a reranker takes on a machine with two processors: who waits longer waits in vain.
SECONDS_PER_RERANKER: Final = 1.0
SECONDS_AT_LEAST: Final = 120.0


class Convergence(NamedTuple):
    """When acting began, in seconds since 1970, and the seconds from then until two things had happened."""

    started: float
    acted_seconds: float
    ready_seconds: float

    @property
    def ended(self) -> float:
        """When all were Ready, in seconds since 1970."""
        return self.started + self.ready_seconds


async def converge(
    api: Api, path: str, selector: str, wanted: int, act: Callable[[], Awaitable[object]]
) -> Convergence:
    """Act, and wait until `wanted` objects of a collection are Ready.

    Raises BenchError with the number of those that were, when it takes too long.
    """
    ready: set[str] = set()

    async def see(objects: AsyncIterator[Object]) -> float:
        async for obj in objects:
            if is_ready(obj):
                ready.add(obj["metadata"]["uid"])
            if len(ready) >= wanted:
                return time.time()
        raise BenchError(f"watching {path} ended when {len(ready)} of {wanted} were Ready")

    async def do() -> float:
        await act()
        return time.time()

    limit = SECONDS_AT_LEAST + wanted * SECONDS_PER_RERANKER
    try:
        async with asyncio.timeout(limit), api.watched(path, {"labelSelector": selector}) as objects:
            started = time.time()
            acted, seen = await asyncio.gather(do(), see(objects))
    except TimeoutError as error:
        raise BenchError(f"{len(ready)} of {wanted} under {path} were Ready after {limit:g} s") from error
    return Convergence(started, acted - started, seen - started)
