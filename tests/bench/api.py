"""Requests to the API server, with a fixed number of connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from tests.bench.errors import BenchError
from tests.doubles.kubeconfig import read_access

CONNECTIONS: Final = 16
LONGEST_EVENT_BYTES: Final = 4 << 20
AGENT: Final = "rerank-bench"
JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
JSON_PATCH: Final = "application/json-patch+json"
NOT_FOUND: Final = 404
FIRST_ERROR: Final = 400

Object = dict[str, Any]


class Api:
    """A client that proves itself with the certificate of a kubeconfig."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connected(cls, kubeconfig: Path, connections: int = CONNECTIONS) -> AsyncIterator[Self]:
        """Connect for the length of an `async with` block."""
        access = read_access(kubeconfig)
        async with aiohttp.ClientSession(
            access.server,
            connector=aiohttp.TCPConnector(limit=connections, ssl=access.tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=LONGEST_EVENT_BYTES,
            headers={"User-Agent": AGENT},
        ) as http:
            yield cls(http)

    async def send(self, method: str, path: str, body: bytes, media_type: str = JSON) -> Object:
        """Write; returns the answer, raises BenchError when it is refused."""
        headers = {"Content-Type": media_type}
        async with self._http.request(method, path, data=body, headers=headers) as response:
            if response.status >= FIRST_ERROR:
                raise BenchError(f"{method} {path}: {response.status} {await response.text()}")
            answer: Object = await response.json()
            return answer

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Object | None:
        """Read an object or a list; None when there is none."""
        async with self._http.get(path, params=query) as response:
            if response.status == NOT_FOUND:
                return None
            response.raise_for_status()
            answer: Object = await response.json()
            return answer

    @asynccontextmanager
    async def watched(self, path: str, query: Mapping[str, str]) -> AsyncIterator[AsyncIterator[Object]]:
        """Yield the objects of a collection as they are and as they change; nothing is missed after entering."""
        async with self._http.get(path, params={**query, "watch": "1"}) as response:
            response.raise_for_status()
            yield _objects(response)


async def _objects(response: aiohttp.ClientResponse) -> AsyncIterator[Object]:
    async for line in response.content:
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise BenchError(f"watching {response.url.path} broke off: {event['object']}")
        yield event["object"]


async def side_by_side(jobs: Iterable[Callable[[], Awaitable[object]]], count: int = CONNECTIONS) -> None:
    """Do the jobs in order, `count` at a time. Raises what the first that fails raises."""
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            await job()

    await asyncio.gather(*(work() for _ in range(count)))
