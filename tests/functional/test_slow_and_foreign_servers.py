"""What answers at the address of a pod and is too slow for Milvus, or no reranker at all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.functional.world import ENGINE_PORT, World
from tests.produces import produces

# Slow enough to see each request come, fast enough for every question.
SEEN_SECONDS = 0.5
AGES = 60.0


class Gateway(BaseHTTPRequestHandler):
    """Answers everything with a page, as proxies do whose upstream is away."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        page = b"<html><body>Please sign in</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def gateway(world: World, model: str, handler: type[Gateway] = Gateway) -> Iterator[None]:
    """Something else in the place of the engine of `model`."""
    engine = world.engine(model)
    engine.mode = "connection-refused"
    server = ThreadingHTTPServer((engine.host, ENGINE_PORT), handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
        engine.mode = "right"


@produces(Reason.ANSWER_MALFORMED, by="double")
def test_a_server_that_answers_with_a_page_is_named_and_not_published(world: World) -> None:
    with gateway(world, "model-a"):
        world.reranker()
        ready = world.wait_for_reason("AnswerMalformed")
        assert "Please sign in" in ready["message"]
        assert MEANINGS[Reason.ANSWER_MALFORMED].remedy in ready["message"]
        assert world.get("configmap", "bge-milvus") is None

    world.wait_for_reason("Ready")


@produces(Reason.TOO_SLOW_FOR_MILVUS, by="double")
def test_a_model_that_does_not_answer_even_a_few_documents_in_time_is_named_and_not_published(world: World) -> None:
    engine = world.engine("model-a")
    engine.seconds_per_document = SEEN_SECONDS
    world.reranker(milvus={"maxClientBatchSize": 8})
    # The request before the batch; questions would tell that the engine does not answer.
    world.wait_until(lambda: any("truncate_prompt_tokens" in (request.body or {}) for request in engine.requests))
    engine.seconds_per_document = AGES

    ready = world.wait_for_reason("TooSlowForMilvus", seconds=60)
    assert MEANINGS[Reason.TOO_SLOW_FOR_MILVUS].remedy in ready["message"]
    assert world.get("configmap", "bge-milvus") is None

    engine.seconds_per_document = 0
    world.wait_for_reason("Ready", seconds=40)
