"""Follow one object of the API server for as long as it is there, over every break of the connection.

The API server ends each watch after some minutes, a proxy earlier, a restart at once. What happened meanwhile is in the
object itself, so each new watch begins with reading it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import aiohttp

from rerank_operator.clients.errors import ApiUnavailable

# Before a watch is begun again; an API server that ends each one at once is not asked in a circle.
PAUSE_SECONDS: Final = 1.0
# In a watch the API server says about once a minute that it is still there.
WATCH_LIMITS: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=150)
Object = dict[str, Any]
Get = Callable[[], Awaitable[Object | None]]
Changes = Callable[[str], AsyncGenerator[Object, None]]


async def follow(get: Get, changes_since: Changes, pause: float = PAUSE_SECONDS) -> AsyncGenerator[Object, None]:
    """The object as it is now, then after each change; ends when it is deleted, or was not there.

    `changes_since(version)` yields the events of one watch. Once the object was read, an API server that does not
    answer is asked again, after `pause` seconds.
    """
    live = await get()
    uid, version = live["metadata"]["uid"] if live else "", ""
    while live is not None and live["metadata"]["uid"] == uid:
        if version != live["metadata"]["resourceVersion"]:
            version = live["metadata"]["resourceVersion"]
            yield live
        try:
            async with aclosing(changes_since(version)) as events:
                async for event in events:
                    if event["type"] == "DELETED":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["object"]
        except ApiUnavailable:
            pass  # reading it again tells whether it is back
        live = await _patiently(get, pause)


async def _patiently(get: Get, pause: float) -> Object | None:
    while True:
        await asyncio.sleep(pause)
        try:
            return await get()
        except ApiUnavailable:
            continue


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Object]:
    """The events of a watch: one JSON object in a line. Raises ApiUnavailable for the one that says that it is over."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event: Object = json.loads(line)
            if event["type"] == "ERROR":
                raise ApiUnavailable(f"the watch ended: {event['object'].get('message')}")
            yield event
