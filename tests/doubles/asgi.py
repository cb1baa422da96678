"""An ASGI application that answers like vLLM's, and a client that calls an application without a server.

For tests of the guard: they see every message that passes, and can stop the engine between two of them.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.doubles.rerank_answers import NO_ROUTE, Answer, Mode, ServedModel, rerank

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Scope = dict[str, Any]
    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

RERANK_PATHS = frozenset({"/rerank", "/v1/rerank", "/v2/rerank"})


class AsgiEngine:
    """The application that vLLM would be. ``hold()`` makes rerank requests wait until ``release()``."""

    def __init__(self, mode: Mode = Mode.RIGHT) -> None:
        self.mode = mode
        self.scopes: list[Scope] = []
        self.bodies: list[Any] = []
        self.arrived = asyncio.Event()
        self.failure: Exception | None = None
        self._gate = asyncio.Event()
        self._gate.set()

    def hold(self) -> None:
        """Let rerank requests arrive, and answer none of them."""
        self._gate.clear()

    def release(self) -> None:
        """Answer what waits."""
        self._gate.set()

    @property
    def reranks(self) -> int:
        """How many rerank requests have arrived."""
        return sum(scope["path"] in RERANK_PATHS for scope in self.scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        elif scope["path"] in RERANK_PATHS:
            await self._rerank(receive, send)
        elif scope["path"] in ("/health", "/metrics"):
            await self._send(Answer(200, {}), send)
        else:
            await self._send(NO_ROUTE, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _rerank(self, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(json.loads(body) if body else None)
        self.arrived.set()
        await self._gate.wait()
        if self.failure is not None:
            raise self.failure
        await self._send(rerank(body, ServedModel(), self.mode, "1"), send)

    async def _send(self, answer: Answer, send: Send) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        payload = answer.encode()
        half = len(payload) // 2
        await send({"type": "http.response.body", "body": payload[:half], "more_body": True})
        await send({"type": "http.response.body", "body": payload[half:]})


class Response(NamedTuple):
    """What a client got; ``json`` is None when the body is no JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a JSON value."""
        return json.loads(self.body)


async def call(
    app: App,
    method: str,
    path: str,
    *,
    query: str = "",
    body: object = None,
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """Send one request to an ASGI application and return its whole answer."""
    messages: list[Message] = []
    payload = b"" if body is None else json.dumps(body).encode()
    requests = [{"type": "http.request", "body": payload[:9], "more_body": True}]
    requests.append({"type": "http.request", "body": payload[9:], "more_body": False})

    async def receive() -> Message:
        if not requests:
            await asyncio.Event().wait()
        return requests.pop(0)

    async def send(message: Message) -> None:
        messages.append(message)

    await app(http_scope(method, path, query=query, headers=headers), receive, send)
    sent = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return Response(messages[0]["status"], sent, b"".join(message["body"] for message in messages[1:]))


def http_scope(method: str, path: str, *, query: str = "", headers: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    """Return the scope that a server makes for a request from loopback."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 50000),
        "app": "the server's own application object",
        "state": {},
    }
