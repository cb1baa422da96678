"""What the guard costs: its own processor time per rerank request, without a network and without a model.

The engine behind it is an application that reads the request and answers with bytes made beforehand. What that
costs alone is measured in turns with the guard before it, and taken off.
"""

import asyncio
import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest import mock

from rich.table import Table

from rerank_operator.engine.rerank_guard import App, Guard, Message, Receive, Scope, Send

SIZES: Final = ((3, 60), (32, 500), (100, 2048), (256, 1024))
"""Numbers of documents, and bytes per document."""

_CAP: Final = {"RERANK_GUARD_MAX_DOCUMENTS": "1000", "RERANK_GUARD_TRUNCATE_PROMPT_TOKENS": "-1"}
SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "key": {},
    "+ limit, truncation": _CAP,
    "+ no documents": {**_CAP, "RERANK_GUARD_STRIP_DOCUMENTS": "true"},
}
"""Each with what comes on top of the one before."""

ROUNDS: Final = 7
# A round is long against the clock's step, and short enough that a busy machine leaves some rounds alone.
ROUND_BYTES: Final = 4_000_000
MAX_REQUESTS: Final = 1000
CHUNK: Final = 1 << 16  # as uvicorn hands a body on
KEY: Final = "a-key-of-an-ordinary-length-0123"
# One answer in five seconds is judged as evidence for /ready; here the first is good for the whole run.
_EVIDENCE: Final = {"RERANK_GUARD_EVIDENCE_SECONDS": "3600"}


@dataclass(frozen=True)
class GuardCost:
    """Processor seconds that the guard takes for one request, with one of the SETTINGS."""

    documents: int
    document_bytes: int
    setting: str
    seconds: float


def measure_guard() -> list[GuardCost]:
    """Measure every size with every setting; takes a few seconds."""
    return [
        GuardCost(documents, size, setting, _measure(documents, size, variables))
        for documents, size in SIZES
        for setting, variables in SETTINGS.items()
    ]


def build_guard_table(costs: Sequence[GuardCost]) -> Table:
    """One row per size, one column per setting."""
    settings = list(dict.fromkeys(cost.setting for cost in costs))
    table = Table(title="guard, processor time per request", title_justify="left", header_style="bold")
    table.add_column("documents")
    for setting in settings:
        table.add_column(setting, justify="right")
    for documents, size in dict.fromkeys((cost.documents, cost.document_bytes) for cost in costs):
        row = {cost.setting: cost for cost in costs if (cost.documents, cost.document_bytes) == (documents, size)}
        table.add_row(f"{documents} x {size} B", *(_cell(row.get(setting)) for setting in settings))
    return table


def _cell(cost: GuardCost | None) -> str:
    return "" if cost is None else f"{cost.seconds * 1e6:.0f} µs"


def _measure(documents: int, size: int, variables: Mapping[str, str]) -> float:
    engine, client = Engine(documents, size), Client(documents, size)
    requests = max(10, min(MAX_REQUESTS, ROUND_BYTES // (documents * size)))
    with _environment(variables):
        return asyncio.run(_compare(engine, client, requests))


async def _compare(engine: "Engine", client: "Client", requests: int) -> float:
    guard = Guard(engine)
    await guard({"type": "lifespan"}, client.receive, client.send)
    await client.ask(guard)
    alone, guarded = [], []
    for _ in range(ROUNDS):
        alone.append(await _round(engine, client, requests))
        guarded.append(await _round(guard, client, requests))
    return max(0.0, min(guarded) - min(alone)) / requests


async def _round(app: App, client: "Client", requests: int) -> float:
    started = time.process_time()
    for _ in range(requests):
        await client.ask(app)
    return time.process_time() - started


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set the guard's variables, with a folder of keys, and keep what it says off the terminal."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        (Path(folder) / "key").write_text(KEY, encoding="ascii")
        with mock.patch.dict(os.environ, {**_EVIDENCE, **variables, "RERANK_GUARD_KEYS_DIR": folder}):
            yield


class Engine:
    """Reads a request to its end, and answers like vLLM."""

    def __init__(self, documents: int, size: int) -> None:
        results = [
            {"index": index, "document": {"text": text, "multi_modal": None}, "relevance_score": 1 / (index + 1.1)}
            for index, text in enumerate(_texts(documents, size))
        ]
        usage = {"prompt_tokens": 1000, "total_tokens": 1000}
        answer = {"id": "score-0123456789abcdef", "model": "reranker", "usage": usage, "results": results}
        self.answer = json.dumps(answer, separators=(",", ":")).encode()
        length = (b"content-length", str(len(self.answer)).encode())
        self.headers = [length, (b"content-type", b"application/json")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be the application that vLLM would be."""
        if scope["type"] == "lifespan":
            return
        chunks, more = [], True
        while more:
            message = await receive()
            chunks.append(message["body"])
            more = message["more_body"]
        b"".join(chunks)
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.answer})


class Client:
    """Sends the same request again and again, and checks nothing but that it was answered."""

    def __init__(self, documents: int, size: int) -> None:
        body = json.dumps({"query": "What is the capital of France?", "documents": _texts(documents, size)}).encode()
        ends = range(0, len(body), CHUNK)
        self._messages: list[Message] = [
            {"type": "http.request", "body": body[at : at + CHUNK], "more_body": at != ends[-1]} for at in ends
        ]
        headers = [(b"host", b"reranker:8000"), (b"user-agent", b"Go-http-client/1.1")]
        headers += [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
        headers += [(b"authorization", f"Bearer {KEY}".encode()), (b"accept-encoding", b"gzip")]
        self._scope: Scope = {"type": "http", "method": "POST", "path": "/rerank", "headers": headers}
        self._left: Iterator[Message] = iter(())
        self._status = 0

    async def ask(self, app: App) -> None:
        """Send one request; raise RuntimeError when the answer is not 200."""
        self._left, self._status = iter(self._messages), 0
        await app(self._scope, self.receive, self.send)
        if self._status != 200:
            raise RuntimeError(f"the guard answered {self._status} to the benchmark, 200 was due")

    async def receive(self) -> Message:
        """Yield the request, chunk by chunk."""
        return next(self._left)

    async def send(self, message: Message) -> None:
        """Take the answer."""
        self._status = message.get("status", self._status)


def _texts(documents: int, size: int) -> list[str]:
    """Plain English of that many bytes per document, all of them different."""
    sentence = " the capital of France is Paris."
    return [(str(index) + sentence * size)[:size] for index in range(documents)]
