"""Requests to model servers, which may be anybody's."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rerank_operator.clients.vllm import EndpointUnreachable, VllmClient
from tests.doubles.engine import EngineDouble


class _Endless(BaseHTTPRequestHandler):
    """Answers for as long as somebody listens."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * (1 << 20))
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def endless() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    serving.join()


def got(url: str) -> tuple[int, bytes]:
    async def get() -> tuple[int, bytes]:
        vllm = VllmClient.connect()
        try:
            return await vllm.get(url, "/v1/models")
        finally:
            await vllm.close()

    return asyncio.run(get())


def test_an_answer_is_read_to_its_end() -> None:
    with EngineDouble() as engine:
        status, body = got(engine.url)

    assert 200 == status
    assert b'"object"' in body


def test_an_answer_that_does_not_end_is_no_answer(endless: str) -> None:
    with pytest.raises(EndpointUnreachable, match="longer than 32 MiB"):
        got(endless)
