"""A gate between one operator and the API server, which can kill the operator at any one of its writes.

The operator is given ``gate.kubeconfig`` and reaches the API server only through here. The gate notes every
write in order, and answers to nobody but the run that it knows: the kubeconfig holds a token, and the kill
replaces it. So nothing that the killed process may still have under way gets through, while the next run, which
reads the file anew, finds the gate open.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from tests.doubles.kubeconfig import read_access

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

WRITING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# They belong to one connection, not to the request or the answer; the token is the gate's, not the API server's.
ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "authorization"})
MAX_BODY_BYTES = 64 << 20
SHUTDOWN_SECONDS = 0.1
# TLS connections say goodbye in the background; a closed loop would cut them off.
GOODBYE_SECONDS = 0.25
When = Literal["before", "after"]
T = TypeVar("T")


class Write(NamedTuple):
    """One write, by what it wrote; ``name`` is the prefix of a generated name where the API server makes one."""

    method: str
    plural: str
    name: str
    subresource: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def kind(self) -> str:
        """What sort of write it is, whatever the object is called: ``PATCH rerankservices/status``."""
        return f"{self.method} {self.plural}" + (f"/{self.subresource}" if self.subresource else "")

    @classmethod
    def of(cls, method: str, path: str, body: bytes) -> Write:
        """Read a request; the name of an object that is created is in its body."""
        parts = path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        if parts[0] == "namespaces" and len(parts) > 2:  # else it is about the namespace itself
            parts = parts[2:]
        plural, name, subresource = (*parts, "", "")[:3]
        return cls(method, plural, name or name_in(body), subresource)


class Order(NamedTuple):
    """Whom to kill, at which write of which kind (empty for any), and whether that write is to take effect."""

    position: int
    kind: str
    when: When
    kill: Callable[[], None]


class ApiGate:
    """Forwards what one operator asks of the API server that ``kubeconfig`` names, until ``stop()``.

    ``writes`` are all writes that came, in order, also the one that ended in a kill. ``killed_at`` is the write at
    which the last order was carried out.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._access = read_access(kubeconfig)
        self._folder = tempfile.TemporaryDirectory(prefix="api-gate-")
        self.kubeconfig = Path(self._folder.name, "kubeconfig")
        self.writes: list[Write] = []
        self.killed_at: Write | None = None
        self._last_write = time.monotonic()
        self._order: Order | None = None
        self._held = ""
        self._released = asyncio.Event()
        self._token = ""
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api-gate", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a free port of loopback and write the kubeconfig."""
        self._thread.start()
        self._call(self._listen())
        self._change_token()

    def stop(self) -> None:
        """Close every connection, end the thread and remove the kubeconfig."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def kill_at(self, position: int, when: When, kill: Callable[[], None], kind: str = "") -> None:
        """Call ``kill`` at the ``position``-th write from now on, the first being 1; replaces an earlier order.

        With ``when`` "before" the API server never hears of that write; with "after" it takes effect, and its answer
        never arrives. ``kill`` must end the operator at once; no later write of that process gets through. ``kind``
        counts only the writes of that ``Write.kind``.
        """
        self.killed_at = None
        self._order = Order(position, kind, when, kill)

    def call_off(self) -> None:
        """Kill nobody any more."""
        self._order = None

    def hold(self, agent: str) -> None:
        """Answer nothing to a client whose User-Agent begins so, until ``release()``."""
        self._held = agent
        self._released.clear()

    def release(self) -> None:
        """Let everything go on that was held."""
        self._held = ""
        self._loop.call_soon_threadsafe(self._released.set)

    @property
    def killed(self) -> bool:
        """Whether the last order was carried out; False when there were too few writes so far."""
        return self.killed_at is not None

    @property
    def quiet_seconds(self) -> float:
        """How long ago the last write came."""
        return time.monotonic() - self._last_write

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self) -> None:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._access.tls),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._http.close()
        await asyncio.sleep(GOODBYE_SECONDS)

    def _change_token(self) -> None:
        """Let nobody in but who reads the kubeconfig from now on."""
        self._token = secrets.token_hex()
        cluster = {"server": f"http://127.0.0.1:{self._port}"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "gate", "cluster": cluster}],
            "users": [{"name": "operator", "user": {"token": self._token}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "operator"}}],
            "current-context": "gate",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return web.Response(status=401, text="the gate knows only the token in its kubeconfig")
        if self._held and request.headers.get("User-Agent", "").startswith(self._held):
            await self._released.wait()
        if request.method not in WRITING_METHODS:
            return await self._forward(request, body)
        write = Write.of(request.method, request.path, body)
        self.writes.append(write)
        self._last_write = time.monotonic()
        order = self._order
        if order is None or order.kind not in ("", write.kind):
            return await self._forward(request, body)
        if order.position > 1:
            self._order = order._replace(position=order.position - 1)
            return await self._forward(request, body)
        self._order = None
        return await self._carry_out(order, write, request, body)

    async def _carry_out(self, order: Order, write: Write, request: web.Request, body: bytes) -> web.StreamResponse:
        self._change_token()
        try:
            if order.when == "after":
                async with self._ask(request, body) as answer:
                    await answer.read()
        finally:
            order.kill()
            self.killed_at = write
        return broken_off(request)

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Pass the answer on as it comes, which for a watch is for ever."""
        try:
            async with self._ask(request, body) as answer:
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                response.headers.extend(
                    (name, value) for name, value in answer.headers.items() if name.lower() not in ONE_HOP
                )
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, ConnectionError):  # either side went away: the other one is to notice
            return broken_off(request)

    def _ask(self, request: web.Request, body: bytes) -> aiohttp.client._RequestContextManager:
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in ONE_HOP]
        url = URL(self._access.server + request.raw_path, encoded=True)
        return self._http.request(request.method, url, headers=headers, data=body or None, allow_redirects=False)


def broken_off(request: web.Request) -> web.Response:
    """Cut the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def name_in(body: bytes) -> str:
    """Return the name of the object in a request's body, empty where there is none."""
    try:
        metadata = json.loads(body)["metadata"]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(metadata.get("name") or metadata.get("generateName") or "")
