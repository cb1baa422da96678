"""Search a Milvus collection with the published reranker: from the command line, or as a small HTTP server.

    python search.py fill                     # makes the collection `documents` with a few sentences, to try it out
    python search.py ask "a question" ["another one" ...]
    python search.py serve                    # GET /search?q=a+question on port 8080

MILVUS_ADDRESS and MILVUS_TOKEN say where Milvus is. The function is read for each search, so that a change is used at
once: from /etc/rerank (RERANK_CONFIG_DIR), where the ConfigMap is mounted, or from the variables RERANK_FUNCTION and
RERANK_LITE_PARAMS, which hold its keys function.json and milvus-lite.json. RERANK_API_KEY is for Milvus Lite alone:
Milvus takes the key of the reranker from its own configuration.
"""

import hashlib
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pymilvus import DataType, Function, FunctionType, MilvusClient, MilvusException

COLLECTION, DIMENSIONS, PORT = "documents", 64, 8080
SHOWN, CANDIDATES = 3, 50
SENTENCES = (
    "The capital of France is Paris.",
    "The capital of Brazil is Brasilia.",
    "Nobody knows what the capital of France is.",  # more words of the question, and no answer
    "Horses and cows are both animals.",
    "Bread is baked from flour and water.",
    "A kettle boils water for tea.",
)


def embed(text: str) -> list[float]:
    """Put your embedding model here. This one only counts words, so that the program runs without a model."""
    vector = [0.0] * DIMENSIONS
    for word in text.lower().replace("?", " ").replace(".", " ").split():
        vector[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    return vector


def published(name: str, variable: str) -> dict:
    """A JSON key of the ConfigMap, from its variable or from the folder where it is mounted."""
    folder = Path(os.environ.get("RERANK_CONFIG_DIR", "/etc/rerank"))
    return json.loads(os.environ.get(variable) or (folder / name).read_text("utf-8"))


def rerank_function(questions: list[str], *, lite: bool) -> Function:
    """A new function for each search: the questions are part of it, one for each vector."""
    function = published("function.json", "RERANK_FUNCTION")
    params = function["params"]
    if lite:
        params = published("milvus-lite.json", "RERANK_LITE_PARAMS")
        params.setdefault("api_key", os.environ.get("RERANK_API_KEY", ""))
    return Function(
        name=function["name"],
        input_field_names=function["input_field_names"],
        function_type=FunctionType[function["function_type"]],
        params={**params, "queries": questions},
    )


def candidates(*, lite: bool) -> int:
    """How many hits to ask for: at most what the reranker takes at once. Milvus Lite reranks ten times as many."""
    many = min(CANDIDATES, published("function.json", "RERANK_FUNCTION")["params"]["max_client_batch_size"])
    return max(SHOWN, many // 10) if lite else many


def search(client: MilvusClient, questions: list[str]) -> dict:
    """The best texts for each question.

    Milvus reranks only the hits that a search would return anyway: so this asks for many and keeps the first. It has no
    fallback: when reranking fails, the whole search fails. So this one is repeated without, and the vectors decide.
    """
    (text,) = published("function.json", "RERANK_FUNCTION")["input_field_names"]
    lite = "lite" in client.get_server_version()
    wanted = {
        "data": [embed(question) for question in questions],
        "limit": candidates(lite=lite),
        "output_fields": [text],
    }
    problem = None
    try:
        found = client.search(COLLECTION, ranker=rerank_function(questions, lite=lite), **wanted)
    except MilvusException as error:
        problem = f"not reranked: {error.message}"
        print(problem, file=sys.stderr)
        found = client.search(COLLECTION, **wanted)
    results = [[{"score": hit["distance"], "text": hit["entity"][text]} for hit in hits[:SHOWN]] for hits in found]
    return {"reranked": problem is None, "problem": problem, "results": results}


def fill(client: MilvusClient) -> None:
    """Make the collection, unless it is there."""
    if client.has_collection(COLLECTION):
        return
    (text,) = published("function.json", "RERANK_FUNCTION")["input_field_names"]
    schema = client.create_schema(auto_id=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field(text, DataType.VARCHAR, max_length=4096)  # Milvus reranks VARCHAR fields only
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSIONS)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="COSINE")
    client.create_collection(COLLECTION, schema=schema, index_params=index, consistency_level="Strong")
    client.insert(COLLECTION, [{text: sentence, "vector": embed(sentence)} for sentence in SENTENCES])


class Handler(BaseHTTPRequestHandler):
    """GET /search?q=...&q=... answers JSON, GET /healthz answers when Milvus can be reached."""

    client: MilvusClient

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        questions = parse_qs(address.query).get("q", [])
        try:
            if address.path == "/healthz":
                self.answer(200, {"milvus": self.client.get_server_version()})
            elif address.path == "/search" and questions:
                self.answer(200, search(self.client, questions))
            else:
                self.answer(404, {"error": "GET /search?q=a+question"})
        except MilvusException as error:  # not even a search without the reranker was possible
            self.answer(503, {"error": error.message})

    def answer(self, status: int, value: dict) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    action, *questions = sys.argv[1:] or ["help"]
    if action not in ("fill", "ask", "serve") or (action == "ask" and not questions):
        sys.exit(__doc__)
    address = os.environ.get("MILVUS_ADDRESS", "http://127.0.0.1:19530")
    client = MilvusClient(address, token=os.environ.get("MILVUS_TOKEN", ""))
    if action == "ask":
        print(json.dumps(search(client, questions), indent=2, ensure_ascii=False))
        return
    fill(client)
    if action == "serve":
        Handler.client = client
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the first process of a pod ignores it otherwise
        ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    main()
