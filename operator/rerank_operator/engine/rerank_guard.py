"""Guard one vLLM reranker from inside its own process: who may ask, what is asked, readiness, and a lossless drain.

vLLM loads this file with ``vllm serve --middleware rerank_guard.Guard``. The flag and the way it is loaded
are the same in every release from 0.9.2 to 0.33.0. The file is mounted from a ConfigMap, needs only the
standard library of Python 3.9 or newer, and imports nothing of the operator's and nothing of vLLM's.

Why it exists: vLLM answers ``/health`` with 200 while its engine is frozen or cannot rerank at all, and on
SIGTERM it fails every rerank request in flight. Why a middleware and not a sidecar: only code inside the
server can run a forward pass through the same door as a client, count what is in flight, and answer
``Connection: close`` on a connection that a client keeps alive. A sidecar would be a second image that can be
bypassed, and it can do none of the three. Why not vLLM's own ``--api-key``: it leaves /rerank and /score open.

``GET /ready``
    200 when the engine has reranked completely and with finite scores: in an answer that the guard looked at
    within the last RERANK_GUARD_EVIDENCE_SECONDS (15), or else now, in a forward pass of the guard's own that
    may take RERANK_GUARD_READY_TIMEOUT_SECONDS (10). 503 with the reason otherwise, and while draining.
``POST /drain?lame=5&timeout=60``
    Lame phase: serve as usual, with ``Connection: close``. Then refuse new requests with 503 until nothing is
    in flight (200) or the time is up (504). It needs the token that the guard writes to
    RERANK_GUARD_TOKEN_FILE when it starts; everybody else gets vLLM's own 404, loopback included, because
    port-forwards and service meshes arrive from there. A drain is never undone.

``python3 -I -S rerank_guard.py drain`` is the preStop hook that calls it.

RERANK_GUARD_KEYS_DIR: a folder, such as a mounted Secret
    Every route needs ``Authorization: Bearer KEY``, else 401; but not GET /health, /metrics and /ready, nor the
    drain with its token. Each file whose name does not begin with a dot holds keys, one per line. They are read
    anew at most once a second, so that a Secret can be rotated without a restart. Without a readable key nobody
    is let in and /ready is 503.
RERANK_GUARD_MAX_DOCUMENTS: a number
    A rerank request with more documents is answered 413.
RERANK_GUARD_TRUNCATE_PROMPT_TOKENS: -1 or a number
    Added to a rerank request that has no truncate_prompt_tokens, so that one long document does not fail all. Not
    for a model with a prompt template: its end would be cut off.
RERANK_GUARD_STRIP_DOCUMENTS: true or false
    Take the documents out of rerank answers: Milvus reads index and score only.

What it never does: change, delay or hold back a request or an answer that it lets through, unless one of the last
three variables asks for it, and then nothing but rerank requests and answers, and never a body that is no JSON
object; write a secret anywhere but into the token file; run more than one forward pass at a time; handle signals
of the server. It counts the requests of one process, so the engine must run a single API server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import http.client
import json
import math
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

EVIDENCE_VARIABLE = "RERANK_GUARD_EVIDENCE_SECONDS"
READY_TIMEOUT_VARIABLE = "RERANK_GUARD_READY_TIMEOUT_SECONDS"
TOKEN_FILE_VARIABLE = "RERANK_GUARD_TOKEN_FILE"  # noqa: S105 - the name of a variable, not a secret
KEYS_DIR_VARIABLE = "RERANK_GUARD_KEYS_DIR"
MAX_DOCUMENTS_VARIABLE = "RERANK_GUARD_MAX_DOCUMENTS"
TRUNCATE_VARIABLE = "RERANK_GUARD_TRUNCATE_PROMPT_TOKENS"
STRIP_DOCUMENTS_VARIABLE = "RERANK_GUARD_STRIP_DOCUMENTS"

READY_PATH = "/ready"
DRAIN_PATH = "/drain"
RERANK_PATHS = frozenset({"/rerank", "/v1/rerank", "/v2/rerank"})
# Probes and scrapes go on during a drain: they are no client's work, and whoever watches must see it end.
ALWAYS_ANSWERED = frozenset({"/health", "/metrics"})
# Compared as a whole, never by prefix: the server takes /health/../rerank and //rerank in its own ways.
OPEN_PATHS = ALWAYS_ANSWERED | {READY_PATH}
OPEN_METHODS = frozenset({"GET", "HEAD"})

READY_QUESTION = json.dumps({"query": "ready", "documents": ["ready", "not ready"]}).encode()
LONGEST_SECONDS = 3600.0
LAME_SECONDS = 5.0
DRAIN_TIMEOUT_SECONDS = 60.0
IN_FLIGHT_POLL_SECONDS = 0.05
# A request that the engine has lost would otherwise keep the only forward pass, and /ready, busy for ever.
FORWARD_PASS_LIMIT = 6  # times the time-out of /ready
# A larger exchange passes like any other but is not judged: that would hold up the server's loop for too long.
LISTEN_LIMIT_BYTES = 8 << 20
EXCERPT_BYTES = 200
CLIENT_GRACE_SECONDS = 3.0
KEYS_AGE_SECONDS = 1.0
WEBSOCKET_POLICY_VIOLATION = 1008
TRUNCATE_FIELD = "truncate_prompt_tokens"


class Settings(NamedTuple):
    """What the pod's environment says.

    ``token_file`` None closes ``/drain``; ``keys_dir`` None lets everybody in; ``max_documents`` None is no
    limit; ``truncate`` None leaves requests as they are.
    """

    evidence_seconds: float = 15.0
    ready_timeout_seconds: float = 10.0
    token_file: str | None = None
    keys_dir: str | None = None
    max_documents: int | None = None
    truncate: int | None = None
    strip_documents: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Raise ValueError with the variable, its value and the remedy when a value is unusable."""
        default = cls()
        return cls(
            seconds(EVIDENCE_VARIABLE, environ.get(EVIDENCE_VARIABLE, default.evidence_seconds)),
            seconds(READY_TIMEOUT_VARIABLE, environ.get(READY_TIMEOUT_VARIABLE, default.ready_timeout_seconds)),
            environ.get(TOKEN_FILE_VARIABLE) or None,
            folder_name(KEYS_DIR_VARIABLE, environ.get(KEYS_DIR_VARIABLE)),
            whole_number(MAX_DOCUMENTS_VARIABLE, environ.get(MAX_DOCUMENTS_VARIABLE)),
            whole_number(TRUNCATE_VARIABLE, environ.get(TRUNCATE_VARIABLE), -1),
            flag(STRIP_DOCUMENTS_VARIABLE, environ.get(STRIP_DOCUMENTS_VARIABLE, "false")),
        )

    @property
    def reads_requests(self) -> bool:
        """Whether a rerank request must be read as a whole before the engine gets it."""
        return self.max_documents is not None or self.truncate is not None


class Guard:
    """The ASGI middleware: decides for each request whether to answer it, refuse it or let it through."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.token: str | None = None
        self.settings = Settings()
        # Not left to the start: closed from the first moment on, however the server comes up.
        self.keys = Keys(os.environ.get(KEYS_DIR_VARIABLE))
        self.readiness = Readiness(self.settings)
        self.drain = Drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take part in the server's start and in every HTTP request; of all else, ask for the key only."""
        if scope["type"] == "lifespan":
            await self._start(scope, receive, send)
        elif scope["type"] == "http":
            await self._route(scope, receive, send)
        elif self.keys.admit(scope):
            await self.app(scope, receive, send)
        else:
            await refuse_websocket(receive, send)

    async def _start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the environment and write the token, or stop the server before it listens.

        Not done in the constructor: an exception there leaves a server that answers 500 to everything.
        """
        try:
            self.settings = Settings.from_env(os.environ)
            self.token = write_token(self.settings.token_file) if self.settings.token_file else None
        except (OSError, ValueError) as error:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"rerank_guard: {error}"})
            return
        self.readiness = Readiness(self.settings)
        self.keys.look()  # so that the log tells their number before the first client comes
        await self.app(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        is_open = path in OPEN_PATHS and method in OPEN_METHODS
        if is_open and path == READY_PATH:
            await self._answer_ready(scope, send)
        elif path == DRAIN_PATH and method == "POST" and self._is_ours(scope):
            await self._answer_drain(scope, send)
        elif not is_open and not self.keys.admit(scope):
            await refuse_stranger(scope, self.drain.closing(send))
        elif path in ALWAYS_ANSWERED:
            await self.app(scope, receive, send)
        elif self.drain.refusing:
            message = "this engine is shutting down and takes no new requests; send it again"
            await reply_error(send, 503, message, [(b"connection", b"close"), (b"retry-after", b"1")])
        else:
            await self._let_through(scope, receive, self.drain.closing(send))

    async def _let_through(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.drain.in_flight += 1
        try:
            if scope["path"] in RERANK_PATHS and scope["method"] == "POST":
                await self._rerank(scope, receive, send)
            else:
                await self.app(scope, receive, send)
        finally:
            self.drain.in_flight -= 1

    async def _rerank(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a rerank request, in the shape that the settings ask for, and learn from its answer."""
        if self.settings.reads_requests:
            documents, scope, receive = await read_request(scope, receive, self.settings.truncate)
            limit = self.settings.max_documents
            if limit is not None and documents > limit:
                message = f"{documents} documents in one request, the limit here is {limit}; send them in parts"
                await reply_error(send, 413, message, param="documents")
                return
        if self.settings.strip_documents:
            send = Stripper(send).send
        if self.readiness.wants_evidence():
            exchange = Exchange(receive, send)
            await self.app(scope, exchange.receive, exchange.send)
            self.readiness.learn(exchange)
        else:
            await self.app(scope, receive, send)

    async def _answer_ready(self, scope: Scope, send: Send) -> None:
        fault = "draining" if self.drain.lame else self.keys.fault() or await self.readiness.fault(self.app, scope)
        self.readiness.say_change(fault)
        if fault is None:
            await reply(send, 200, {"ready": True})
        else:
            await reply_error(send, 503, fault)

    async def _answer_drain(self, scope: Scope, send: Send) -> None:
        try:
            lame, timeout = drain_arguments(scope["query_string"])
        except ValueError as error:
            await reply_error(send, 400, str(error))
            return
        left = await self.drain.run(lame, timeout)
        if left:
            await reply_error(send, 504, f"{left} requests still in flight {timeout:g} s after the lame phase")
        else:
            await reply(send, 200, {"in_flight": 0})

    def _is_ours(self, scope: Scope) -> bool:
        return self.token is not None and hmac.compare_digest(self.token.encode(), bearer(scope))


class Keys:
    """Knows whom to let in: whoever has a key of the folder; everybody when there is no folder."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._keys: frozenset[bytes] = frozenset()
        self._fault: str | None = None
        self._looked_at = -math.inf
        self._said: int | None = None

    def admit(self, scope: Scope) -> bool:
        """Tell whether a request carries one of the keys."""
        if self._folder is None:
            return True
        self.look()
        token, admitted = bearer(scope), False
        for key in self._keys:  # all of them: the time that it takes must not tell which one was right
            admitted |= hmac.compare_digest(key, token)
        return admitted

    def fault(self) -> str | None:
        """Return why nobody can be let in now, or None."""
        self.look()
        return self._fault

    def look(self) -> None:
        """Read the files again when that is long enough ago; a folder that cannot be read holds no key."""
        now = time.monotonic()
        if self._folder is None or now - self._looked_at < KEYS_AGE_SECONDS:
            return
        self._looked_at = now
        try:
            self._keys = read_keys(Path(self._folder))
            self._fault = None if self._keys else f"no key in {self._folder}: none of its files holds one"
        except OSError as error:
            self._keys, self._fault = frozenset(), f"no key in {self._folder}: {error}"
        if self._said != len(self._keys):
            self._said = len(self._keys)
            say(self._fault or f"keys in {self._folder}: {self._said}")


class Drain:
    """Takes the engine out of service in two phases, once and for good, and counts what is in flight."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.lame = False
        self.refusing = False

    async def run(self, lame: float, patience: float) -> int:
        """Return how many requests are in flight at the end, after lame + patience seconds at most."""
        say(f"draining: {lame:g} s lame, then up to {patience:g} s for {self.in_flight} in flight")
        self.lame = True
        await asyncio.sleep(lame)
        self.refusing = True
        deadline = time.monotonic() + patience
        # Two drains may wait at once, and before Python 3.10 an Event belongs to the loop that was current
        # when it was made; twenty looks a second cost nothing.
        while self.in_flight and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(IN_FLIGHT_POLL_SECONDS)
        say(f"drained: {self.in_flight} in flight")
        return self.in_flight

    def closing(self, send: Send) -> Send:
        """Wrap ``send`` so that an answer that starts in the lame phase asks its client to connect anew."""

        async def send_closing(message: Message) -> None:
            if self.lame and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        return send_closing


class Readiness:
    """Knows when the engine last reranked rightly, and finds out anew when that was too long ago."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._proved_at = -math.inf
        self._pass: asyncio.Future[str | None] | None = None
        self._pass_started = 0.0
        self._last_fault: str | None = None

    def wants_evidence(self) -> bool:
        """Tell whether an answer is worth judging; between two such answers, traffic costs nothing."""
        return time.monotonic() - self._proved_at > self.settings.evidence_seconds / 3

    def learn(self, exchange: Exchange) -> None:
        """Take a right answer as evidence. A wrong one proves nothing: the client may have asked for it."""
        if self.wants_evidence() and exchange.fault() is None:
            self._proved_at = max(self._proved_at, exchange.ended)

    async def fault(self, app: App, scope: Scope) -> str | None:
        """Return why the engine cannot be trusted to rerank now, or None."""
        if time.monotonic() - self._proved_at <= self.settings.evidence_seconds:
            return None
        forward_pass = self._join_pass(app, scope)
        timeout = self.settings.ready_timeout_seconds
        await asyncio.wait({forward_pass}, timeout=timeout)
        if not forward_pass.done() or forward_pass.cancelled():
            return f"no forward pass within {timeout:g} s"
        return forward_pass.result()

    def say_change(self, fault: str | None) -> None:
        """Say so when the answer changes: the kubelet's event holds the status code but not the reason."""
        if fault != self._last_fault:
            say("ready" if fault is None else f"not ready: {fault}")
            self._last_fault = fault

    def _join_pass(self, app: App, scope: Scope) -> asyncio.Future[str | None]:
        """Return the forward pass that is under way, or start one."""
        now = time.monotonic()
        if self._pass is not None and not self._pass.done():
            if now - self._pass_started <= FORWARD_PASS_LIMIT * self.settings.ready_timeout_seconds:
                return self._pass
            self._pass.cancel()
        self._pass_started = now
        self._pass = asyncio.ensure_future(self._forward(app, scope))
        return self._pass

    async def _forward(self, app: App, scope: Scope) -> str | None:
        """Rerank two documents through the whole server; return what was wrong, or None."""
        exchange = Exchange(ask_once(READY_QUESTION), discard)
        try:
            await app(rerank_scope(scope, len(READY_QUESTION)), exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - whatever the server raises, it did not rerank
            return f"/rerank raised {error!r}"
        fault = exchange.fault()
        if fault is None:
            self._proved_at = max(self._proved_at, exchange.ended)
        return fault


class Exchange:
    """Listens to one request and its answer while they pass; holds nothing back and changes nothing."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.ended = -math.inf
        self._receive, self._send = receive, send
        self._question: list[bytes] = []
        self._answer: list[bytes] = []
        self._room = LISTEN_LIMIT_BYTES
        self._status = 0

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._keep(self._question, message)
        return message

    async def send(self, message: Message) -> None:
        """Hand on what the engine answers."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body":
            self._keep(self._answer, message)
            if not message.get("more_body"):
                self.ended = time.monotonic()
        await self._send(message)

    def fault(self) -> str | None:
        """Return what is wrong with the answer, or None when it is complete and finite."""
        if self.ended == -math.inf:
            return "/rerank ended without a complete answer"
        if self._room < 0:
            return f"/rerank exchanged more than {LISTEN_LIMIT_BYTES} bytes"
        answer = b"".join(self._answer)
        if self._status != HTTPStatus.OK:
            return f"/rerank answered {self._status}: {excerpt(answer)}"
        return answer_fault(b"".join(self._question), answer)

    def _keep(self, chunks: list[bytes], message: Message) -> None:
        body = message.get("body", b"")
        self._room -= len(body)
        if self._room >= 0:
            chunks.append(body)


class Stripper:
    """Takes the documents out of one answer, which it holds back until the last byte is there."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._answer: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Hand on what the engine answers, unless it is the part of an answer that is held back."""
        if message["type"] == "http.response.start" and is_plain_json(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._answer.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._release(self._start)

    async def _release(self, start: Message) -> None:
        self._start = None
        answer = without_documents(b"".join(self._answer))
        await self._send({**start, "headers": with_length(start["headers"], len(answer))})
        await self._send({"type": "http.response.body", "body": answer})


def is_plain_json(start: Message) -> bool:
    """Tell whether an answer begins that is right, JSON, not compressed, and not a stream of unknown length."""
    headers = {name.lower(): value for name, value in start.get("headers", ())}
    plain = b"content-length" in headers and b"content-encoding" not in headers
    return start["status"] == HTTPStatus.OK and plain and headers.get(b"content-type", b"")[:16] == b"application/json"


def without_documents(answer: bytes) -> bytes:
    """Return a rerank answer without its documents; an answer of another shape as it is."""
    try:
        value = json.loads(answer)
        documents = [result.pop("document") for result in value["results"] if "document" in result]
        # As vLLM writes it.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() if documents else answer
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return answer


async def read_request(scope: Scope, receive: Receive, truncate: int | None) -> tuple[int, Scope, Receive]:
    """Read a request to its end; return its number of documents, and what the engine gets in its place.

    The engine gets every message as it came, the client's leaving among them, unless truncation is added.
    """
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    if messages[-1]["type"] != "http.request":
        return 0, scope, replay(messages, receive)
    body = b"".join(message.get("body", b"") for message in messages)
    documents, asked = with_truncation(body, truncate)
    if asked is not body:
        messages = [{"type": "http.request", "body": asked, "more_body": False}]
        scope = {**scope, "headers": with_length(scope["headers"], len(asked))}
    return documents, scope, replay(messages, receive)


def with_truncation(body: bytes, truncate: int | None) -> tuple[int, bytes]:
    """Return the number of documents of a rerank request, and its body with truncation when it has none.

    What is no JSON object has no documents and stays as it is: the server refuses it in its own words. The body
    is decoded like the server does it. The field goes to its end, where it wins over a null further up, and
    all else stays as the client wrote it.
    """
    try:
        encoding = json.detect_encoding(body)
        text = body.decode(encoding, "surrogatepass")
        request = json.loads(text)
    except (ValueError, RecursionError):
        return 0, body
    if not isinstance(request, dict):
        return 0, body
    listed = request.get("documents")
    documents = len(listed) if isinstance(listed, list) else 1
    if truncate is None or request.get(TRUNCATE_FIELD) is not None:
        return documents, body
    comma = "," if request else ""
    text = f'{text[: text.rindex("}")]}{comma}"{TRUNCATE_FIELD}":{truncate}}}'
    return documents, text.encode(encoding, "surrogatepass")


def with_length(headers: Headers, length: int) -> list[tuple[bytes, bytes]]:
    """Return the headers for a body of another length."""
    kept = [header for header in headers if header[0].lower() not in (b"content-length", b"transfer-encoding")]
    return [*kept, (b"content-length", str(length).encode())]


def answer_fault(question: bytes, answer: bytes) -> str | None:
    """Return what is wrong with a rerank answer, or None: each document once, each score a finite number."""
    try:
        documents, expected = expected_results(json.loads(question))
        results = json.loads(answer)["results"]
        indexes = [result["index"] for result in results]
        scores = [result["relevance_score"] for result in results]
        if len(results) != expected:
            return f"/rerank answered {len(results)} results where {expected} were due"
        if len(set(indexes)) != len(indexes) or not set(indexes) <= set(range(documents)):
            return f"/rerank answered wrong indexes: {excerpt(json.dumps(indexes).encode())}"
        if not all(isinstance(score, (int, float)) and math.isfinite(score) for score in scores):
            return f"/rerank answered a score that is not a finite number: {excerpt(answer)}"
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return f"/rerank answered something else than rerank results: {excerpt(answer)}"
    return None


def expected_results(request: dict[str, Any]) -> tuple[int, int]:
    """Return the number of documents that a request holds and the number of results that are due for it."""
    documents = 1 if isinstance(request["documents"], str) else len(request["documents"])
    return documents, min(request.get("top_n") or documents, documents)


def rerank_scope(scope: Scope, length: int) -> Scope:
    """Return a copy of a real request's scope that asks /rerank instead.

    A scope made by hand would lack what the server puts there, the application object above all.
    """
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", str(length).encode()),
    ]
    asked = {
        "method": "POST",
        "path": "/rerank",
        "raw_path": b"/rerank",
        "query_string": b"",
        "headers": headers,
    }
    return {**scope, **asked, "state": dict(scope.get("state", {}))}


def replay(messages: list[Message], receive: Receive) -> Receive:
    """Return a ``receive`` that yields messages that were received already, and then those that come."""

    async def receive_again() -> Message:
        return messages.pop(0) if messages else await receive()

    return receive_again


def ask_once(body: bytes) -> Receive:
    """Return a ``receive`` that yields one request body and then a client that stays connected."""
    return replay([{"type": "http.request", "body": body, "more_body": False}], stay_connected)


async def stay_connected() -> Message:
    """Be the ``receive`` of a client that has sent everything and waits for ever."""
    return await asyncio.Future()


async def discard(message: Message) -> None:
    """Be the ``send`` of a request that nobody waits for."""


async def reply(send: Send, status: int, body: dict[str, Any], headers: Headers = ()) -> None:
    """Answer with one JSON object."""
    payload = json.dumps(body).encode()
    own = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": payload})


async def reply_error(
    send: Send, status: int, message: str, headers: Headers = (), *, param: str | None = None
) -> None:
    """Answer with an error in the shape that vLLM's own errors have."""
    error = {"message": message, "type": HTTPStatus(status).phrase, "param": param, "code": status}
    await reply(send, status, {"error": error}, headers)


async def refuse_stranger(scope: Scope, send: Send) -> None:
    """Answer 401, and say what is missing."""
    fault = "this key is not, or no longer, let in" if bearer(scope) else "a key is missing"
    message = f"{fault}; send the header 'Authorization: Bearer KEY' with a key of this reranker"
    await reply_error(send, 401, message, [(b"www-authenticate", b"Bearer")])


async def refuse_websocket(receive: Receive, send: Send) -> None:
    """Close a websocket before it opens, which its client sees as 403."""
    await receive()
    await send({"type": "websocket.close", "code": WEBSOCKET_POLICY_VIOLATION})


def read_keys(folder: Path) -> frozenset[bytes]:
    """Return the keys in the files of a folder; raise OSError when one cannot be read."""
    lines: list[bytes] = []
    for file in folder.iterdir():
        if not file.name.startswith(".") and file.is_file():
            # The kubelet may have put another version of the Secret there since the folder was listed.
            with contextlib.suppress(FileNotFoundError):
                lines += file.read_bytes().splitlines()
    return frozenset(line.strip() for line in lines) - {b""}


def bearer(scope: Scope) -> bytes:
    """Return the bearer token of a request, empty when there is none."""
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return bytes(value[7:].strip())
    return b""


def drain_arguments(query: bytes) -> tuple[float, float]:
    """Return (lame, timeout) in seconds; raise ValueError with the argument, its value and the remedy."""
    values = {"lame": LAME_SECONDS, "timeout": DRAIN_TIMEOUT_SECONDS}
    for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in values:
            raise ValueError(f"unknown argument {name!r}, use lame and timeout")
        values[name] = seconds(name, text)
    return values["lame"], values["timeout"]


def seconds(name: str, value: str | float) -> float:
    """Return a number of seconds; raise ValueError with the name, the value and the remedy."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= LONGEST_SECONDS:
        raise ValueError(f"{name}={value!r} is not a number of seconds from 0 to {LONGEST_SECONDS:g}")
    return number


def whole_number(name: str, value: str | None, *special: int) -> int | None:
    """Return a number from 1 up or a special one, None for None; raise ValueError as ``seconds`` does."""
    if value is None:
        return None
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1 and number not in special:
        raise ValueError(f"{name}={value!r} is not {' or '.join([*map(str, special), 'a whole number from 1 up'])}")
    return number


def folder_name(name: str, value: str | None) -> str | None:
    """Return the name of a folder, None for None; raise ValueError as ``seconds`` does."""
    if value == "":
        raise ValueError(f"{name}='' is not a folder, name the one where the Secret with the keys is mounted")
    return value


def flag(name: str, value: str) -> bool:
    """Return a truth value; raise ValueError as ``seconds`` does."""
    if value not in ("true", "false"):
        raise ValueError(f"{name}={value!r} is not true or false")
    return value == "true"


def excerpt(text: bytes) -> str:
    """Return the start of an answer as one line of a log."""
    return " ".join(text[:EXCERPT_BYTES].decode("utf-8", "replace").split())


def say(message: str) -> None:
    """Write a line into the pod's log, past vLLM's logging set-up, which drops what a foreign logger says."""
    print(f"rerank_guard: {message}", file=sys.stderr, flush=True)  # noqa: T201


def write_token(path: str) -> str:
    """Write a new random token to ``path``, readable by this user only, and return it."""
    token = secrets.token_urlsafe(32)
    try:
        # mkstemp makes the file 0600; renaming leaves no instant at which half a token can be read.
        descriptor, new = tempfile.mkstemp(dir=Path(path).parent, prefix=".token-")
        with os.fdopen(descriptor, "w") as file:
            file.write(token)
        Path(new).replace(path)
    except OSError as error:
        raise OSError(f"{TOKEN_FILE_VARIABLE}={path!r} cannot be written, mount a volume there: {error}") from error
    return token


def drain_engine(port: int, lame: float, timeout: float, token_file: str) -> tuple[bool, str]:
    """Ask the guard on loopback to drain; return whether nothing is left to lose, and what happened."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return True, f"nothing listens on port {port}, there is nothing to drain"
    if not token_file:
        return False, f"not drained: set --token-file or {TOKEN_FILE_VARIABLE} to the file the guard wrote"
    headers = {"authorization": f"Bearer {Path(token_file).read_text(encoding='ascii')}"}
    started = time.monotonic()
    connection.request("POST", f"{DRAIN_PATH}?{urlencode({'lame': lame, 'timeout': timeout})}", headers=headers)
    response = connection.getresponse()
    answer = excerpt(response.read())
    drained = response.status == HTTPStatus.OK
    outcome = "drained" if drained else f"not drained, the engine answered {response.status}"
    return drained, f"{outcome} after {time.monotonic() - started:.1f} s: {answer}"


def stop_waiting(limit: float) -> None:
    """Make the whole process give up after ``limit`` seconds, whatever it waits for."""

    def give_up(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"no answer within {limit:g} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line of the preStop hook."""
    parser = argparse.ArgumentParser(prog="rerank_guard.py")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    drain = commands.add_parser("drain", help="take the engine on this host out of service, then return")
    drain.add_argument("--lame", default=LAME_SECONDS, help="seconds to serve on while clients are sent away")
    drain.add_argument("--timeout", default=DRAIN_TIMEOUT_SECONDS, help="seconds to wait for requests in flight")
    drain.add_argument("--port", type=int, default=8000)
    drain.add_argument("--token-file", default=os.environ.get(TOKEN_FILE_VARIABLE, ""))
    parsed = parser.parse_args(arguments)
    try:
        parsed.lame, parsed.timeout = seconds("--lame", parsed.lame), seconds("--timeout", parsed.timeout)
    except ValueError as error:
        parser.error(str(error))
    return parsed


def main(arguments: list[str]) -> int:
    """Run the preStop hook: print what happened; return 0 when nothing is left to lose, else 1."""
    options = parse_arguments(arguments)
    stop_waiting(options.lame + options.timeout + CLIENT_GRACE_SECONDS)
    try:
        drained, outcome = drain_engine(options.port, options.lame, options.timeout, options.token_file)
    except (OSError, http.client.HTTPException) as error:
        drained, outcome = False, f"not drained: {error}"
    print(outcome)  # noqa: T201 - the kubelet puts it into the event of a failed hook
    return 0 if drained else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
