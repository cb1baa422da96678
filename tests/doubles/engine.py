"""A stand-in for a vLLM 0.32 reranker with the guard in front: light, in-process, and able to misbehave.

``with EngineDouble() as engine:`` serves until the block ends, in a thread with an event loop of its own.
Bound to ``0.0.0.0`` one double plays a thousand pods: every address 127.x.y.z reaches it, and ``modes`` says
what is different at one address. ``python -m tests.doubles.engine --port 8000 --mode right`` serves from the
command line.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self, TypeVar

import typer
from aiohttp import web

from tests.doubles.rerank_answers import (
    NO_ROUTE,
    UNAUTHORIZED,
    Answer,
    Mode,
    ServedModel,
    error,
    models,
    rerank,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

RERANK_PATHS = frozenset({"/rerank", "/v1/rerank", "/v2/rerank"})
ALWAYS_OPEN = frozenset({"/health", "/metrics", "/ready"})
GET_PATHS = frozenset({"/health", "/version", "/v1/models", "/metrics", "/ready"})
# What the guard's /ready would say; in the other modes the answers are complete and finite, so it is 200.
READY_FAULTS: dict[Mode, str] = {
    Mode.MISSING_RESULT: "/rerank answered 1 results where 2 were due",
    Mode.EXTRA_RESULT: "/rerank answered 3 results where 2 were due",
    Mode.DUPLICATE_INDEX: "/rerank answered wrong indexes: [0, 0]",
    Mode.NAN_SCORE: "/rerank answered a score that is not a finite number",
    Mode.NULL_SCORE: "/rerank answered a score that is not a finite number",
    Mode.STRING_SCORE: "/rerank answered a score that is not a finite number",
    Mode.NO_RERANK_ROUTE: "/rerank answered 404",
    Mode.NOT_VLLM: "/rerank answered 404",
    Mode.WRONG_MODEL: "/rerank answered 404",
    Mode.UNAUTHORIZED: "/rerank answered 401",
    Mode.ENGINE_DEAD: "/rerank answered 500",
    Mode.BUSY: "/rerank answered 503",
    Mode.HANG: "no forward pass within 10 s",
}
SHUTDOWN_SECONDS = 0.1
MAX_BODY_BYTES = 64 << 20
T = TypeVar("T")


class Request(NamedTuple):
    """One request as it came; ``body`` is the JSON value, the raw text when it is no JSON, or None."""

    path: str
    headers: dict[str, str]
    body: Any


class EngineDouble:
    """One listening engine.

    ``model`` None accepts every model name. ``guard`` False takes ``/ready`` away. ``record`` False keeps no
    requests, for benchmarks. Port 0 takes a free port. With ``keys`` it lets in who sends one of them, as the guard
    does. ``seconds_per_document`` is how long it scores.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        model: str | None = "tiny-reranker",
        max_model_len: int = 512,
        guard: bool = True,
        record: bool = True,
    ) -> None:
        self.host, self.port = host, port
        self.served = ServedModel(model, max_model_len)
        self.guard = guard
        self.record = record
        self.requests: list[Request] = []
        self.modes: dict[str, str] = {}
        self.keys: frozenset[str] = frozenset()
        self.seconds_per_document = 0.0
        self.pairs_scored = 0
        self.answers: Counter[tuple[str, str, int]] = Counter()
        self._mode, self._delay = Mode.RIGHT, 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"engine-{host}", daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; return when the port is open. Raise OSError when it is taken."""
        self._thread.start()
        try:
            self._call(self._listen())
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close every connection and end the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """The endpoint without a path, as it is published for Milvus."""
        return f"http://{self.host}:{self.port}"

    @property
    def mode(self) -> str:
        """How it behaves; assign one of ``Mode``'s values at any time, ``"slow:2.5"`` with its seconds."""
        return f"{self._mode}:{self._delay:g}" if self._mode is Mode.SLOW else self._mode

    @mode.setter
    def mode(self, text: str) -> None:
        mode, self._delay = parse_mode(text)
        before, self._mode = self._mode, mode
        if mode is Mode.CONNECTION_REFUSED:
            self._call(self._close())
        elif before is Mode.CONNECTION_REFUSED:
            self._call(self._listen())

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self) -> None:
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
        site = web.TCPSite(self._runner, self.host, self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.Response:
        path, body = request.path, await request.read()
        if self.record:
            self.requests.append(Request(path, dict(request.headers), json_or_text(body)))
        if self.keys and path not in ALWAYS_OPEN and bearer(request) not in self.keys:
            response = as_response(error(401, "a key is missing", "Unauthorized"))
        else:
            mode, delay = self._behaviour(request)
            response = await self._answer(request, body, mode, delay)
        self.answers[request.method, path, response.status] += 1
        return response

    def _behaviour(self, request: web.Request) -> tuple[Mode, float]:
        if not self.modes or request.transport is None:
            return self._mode, self._delay
        text = self.modes.get(request.transport.get_extra_info("sockname")[0])
        return (self._mode, self._delay) if text is None else parse_mode(text)

    async def _answer(self, request: web.Request, body: bytes, mode: Mode, delay: float) -> web.Response:
        path, method = request.path, request.method
        if path in RERANK_PATHS and (mode in (Mode.NO_RERANK_ROUTE, Mode.NOT_VLLM) or method == "POST"):
            if delay:
                await asyncio.sleep(delay)
            if mode is Mode.HANG:
                await asyncio.Event().wait()
            identity = request.headers.get("X-Request-Id", uuid.uuid4().hex[:16])
            answer = rerank(body, self.served, mode, identity)
            self.pairs_scored += answer.pairs
            if self.seconds_per_document:
                await asyncio.sleep(self.seconds_per_document * answer.pairs)
            return as_response(answer)
        if path in RERANK_PATHS or (path in GET_PATHS and method != "GET"):
            return as_response(Answer(405, {"detail": "Method Not Allowed"}))
        return self._get(path, mode)

    def _get(self, path: str, mode: Mode) -> web.Response:
        match path:
            case "/health":
                return web.Response()
            case "/version":
                return as_response(Answer(200, {"version": "0.32.0"}))
            case "/v1/models":
                refusal = {Mode.UNAUTHORIZED: UNAUTHORIZED, Mode.NOT_VLLM: NO_ROUTE}.get(mode)
                return as_response(refusal or models(self.served))
            case "/metrics":
                return web.Response(text=self._metrics(), headers={"Content-Type": "text/plain; version=1.0.0"})
            case "/ready" if self.guard:
                return as_response(ready(mode))
            case _:
                return as_response(NO_ROUTE)

    def _metrics(self) -> str:
        label = f'engine="0",model_name="{self.served.name or "any"}"'
        lines = [
            f"vllm:num_requests_running{{{label}}} 0.0",
            f"vllm:num_requests_waiting{{{label}}} 0.0",
            f'vllm:request_success_total{{{label},finished_reason="stop"}} {float(self.pairs_scored)}',
        ]
        for (method, path, status), count in self.answers.items():
            labels = f'handler="{path}",method="{method}",status="{status // 100}xx"'
            lines.append(f"http_requests_total{{{labels}}} {float(count)}")
        return "\n".join(lines) + "\n"


def parse_mode(text: str) -> tuple[Mode, float]:
    """Return the mode and its delay in seconds; raise ValueError that lists the modes."""
    name, _, delay = text.partition(":")
    try:
        mode = Mode(name)
        return mode, float(delay or 1) if mode is Mode.SLOW else 0.0
    except ValueError:
        raise ValueError(f"mode {text!r} is none of {', '.join(Mode)}; slow takes seconds: slow:2.5") from None


def ready(mode: Mode) -> Answer:
    """Return what the guard would say of an engine in this mode."""
    fault = READY_FAULTS.get(mode)
    return Answer(200, {"ready": True}) if fault is None else error(503, fault, "Service Unavailable")


def bearer(request: web.Request) -> str:
    """Return the key that a request carries, empty when there is none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def json_or_text(body: bytes) -> Any:
    """Return the JSON value of a body, its text when it is no JSON, None when it is empty."""
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def as_response(answer: Answer) -> web.Response:
    """Return the answer as aiohttp sends it."""
    return web.Response(status=answer.status, body=answer.encode(), content_type="application/json")


def main(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 plays every 127.x.y.z.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    mode: Annotated[str, typer.Option(help=f"One of: {', '.join(Mode)}.")] = Mode.RIGHT,
    model: Annotated[str, typer.Option(help="Served model name; empty accepts every name.")] = "tiny-reranker",
) -> None:
    """Serve one engine double until interrupted."""
    with EngineDouble(host, port, model=model or None, record=False) as engine:
        engine.mode = mode
        print(engine.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    typer.run(main)
