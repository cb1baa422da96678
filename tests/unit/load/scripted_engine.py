"""A server that answers as a script says, and keeps what it was asked and over how many connections."""

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclasses.dataclass(frozen=True)
class Reply:
    """How one request ends. `model` answers right; `content` replaces that answer."""

    model: str = "first"
    status: int = 200
    content: bytes | None = None
    says_close: bool = False
    closes: bool = False
    """Ends the connection after the answer without a word, as a server does with one that is idle for long."""
    drops: bool = False
    """Reads the request and ends the connection instead of answering."""


Script = Callable[[int], Reply]


class ScriptedEngine(ThreadingHTTPServer):
    """Answers request number n (from 0) with `script(n)`."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.connections = 0
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """The endpoint, as it is published for Milvus."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def scripted_engine(script: Script) -> Iterator[ScriptedEngine]:
    """Serve for as long as the block lasts."""
    with ScriptedEngine(script) as engine:
        thread = threading.Thread(target=engine.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield engine
        finally:
            engine.shutdown()
            thread.join()


def right_answer(body: dict[str, Any], right: str, model: str) -> bytes:
    """Rank `right` first, as vLLM writes it."""
    scores = [0.9 if text == right else 0.1 for text in body["documents"]]
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
    return json.dumps({"model": model, "results": results}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedEngine

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.bodies)
            self.server.bodies.append({"path": self.path, **body})
            self.server.keys.append(self.headers["Authorization"])
        reply = self.server.script(number)
        if reply.drops:
            self.close_connection = True
            return
        content = reply.content if reply.content is not None else right_answer(body, "right", reply.model)
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(content)))
        if reply.says_close:
            self.send_header("Connection", "close")  # send_header then closes, too
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = self.close_connection or reply.closes

    def log_message(self, *_: object) -> None:
        """Say nothing: a test that fails shows what was asked."""
