"""The guard inside the real vLLM with keys, a limit of documents, truncation by default and short answers.

One server for all tests. The drain comes last, because it is never undone.
"""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from rerank_operator.engine import rerank_guard
from tests.engine.server import VllmServer
from tests.engine.tiny_reranker import ANSWER, DOCUMENTS, QUESTION, ensure_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
MILVUS = {"query": QUESTION, "documents": list(DOCUMENTS)}
OVERLONG = {"query": QUESTION, "documents": [DOCUMENTS[ANSWER], "capital " * 600]}
LIMIT = 200
KEY = "a-key-that-stays"
LOST = httpx.Timeout(120)
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


class Engine(NamedTuple):
    """The real server, the folder with its keys, and where its guard writes the token of the drain."""

    server: VllmServer
    keys: Path
    token: Path

    def ask(self, method: str, path: str, *, key: str | None = KEY, **content: Any) -> httpx.Response:
        with self.client(key) as client:
            return client.request(method, path, **content)

    def rerank(self, body: Any, *, key: str | None = KEY) -> httpx.Response:
        return self.ask("POST", "/rerank", key=key, json=body)

    def client(self, key: str | None = KEY) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=LOST)

    def lets_in(self, key: str) -> bool:
        status = self.ask("GET", "/v1/models", key=key).status_code
        assert status in (200, 401)
        return status == 200


def mount(folder: Path, files: dict[str, str]) -> None:
    """Put files into a folder as the kubelet does: each is a link through ..data, which is swapped in one step."""
    old = (folder / "..data").resolve() if (folder / "..data").exists() else None
    data = folder / f"..{time.monotonic_ns()}"
    data.mkdir()
    for name, text in files.items():
        (data / name).write_text(text)
    (folder / "..new").symlink_to(data.name)
    (folder / "..new").rename(folder / "..data")
    for name in files:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    if old:
        shutil.rmtree(old)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("guard")
    guard = Path(shutil.copy(rerank_guard.__file__, folder))
    keys, token = folder / "keys", folder / "token"
    keys.mkdir()
    mount(keys, {"people": KEY})
    variables = {
        "RERANK_GUARD_TOKEN_FILE": str(token),
        "RERANK_GUARD_KEYS_DIR": str(keys),
        "RERANK_GUARD_MAX_DOCUMENTS": str(LIMIT),
        "RERANK_GUARD_TRUNCATE_PROMPT_TOKENS": "-1",
        "RERANK_GUARD_STRIP_DOCUMENTS": "true",
    }
    with VllmServer(ensure_model(), middleware=guard, variables=variables) as server:
        yield Engine(server, keys, token)


@pytest.mark.parametrize("key", [None, "another-key"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/rerank"),
        ("POST", "/v1/rerank"),
        ("POST", "/v2/rerank"),
        ("POST", "/score"),
        ("POST", "/invocations"),
        ("GET", "/v1/models"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/no-such-path"),
        ("POST", "//rerank"),
        ("GET", "/health/"),
        ("GET", "/health%2f..%2frerank"),
        ("GET", "/metrics/foo"),
        ("POST", "/drain"),
        ("OPTIONS", "/rerank"),
    ],
)
def test_without_a_right_key_every_route_is_closed(engine: Engine, method: str, path: str, key: str | None) -> None:
    answer = engine.ask(method, path, key=key, json=MILVUS)
    error = answer.json()["error"]
    assert (401, "Bearer") == (answer.status_code, answer.headers["www-authenticate"])
    assert ("Unauthorized", None, 401) == (error["type"], error["param"], error["code"])


@pytest.mark.parametrize("path", ["/health", "/metrics", "/ready"])
def test_probes_and_scrapes_need_no_key(engine: Engine, path: str) -> None:
    assert 200 == engine.ask("GET", path, key=None).status_code


def test_a_websocket_without_a_key_is_refused(engine: Engine) -> None:
    assert 403 == engine.ask("GET", "/v1/realtime", key=None, headers=UPGRADE).status_code


@pytest.mark.parametrize("route", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_milvus_with_a_key_is_answered_rightly_and_without_the_documents(engine: Engine, route: str) -> None:
    answer = engine.ask("POST", route, json=MILVUS)
    results = answer.json()["results"]
    assert 200 == answer.status_code
    assert ANSWER == results[0]["index"]
    assert {"index", "relevance_score"} == {name for result in results for name in result}
    assert len(answer.content) == int(answer.headers["content-length"])


def test_a_refusal_leaves_the_connection_in_order(engine: Engine) -> None:
    large = MILVUS | {"documents": ["capital " * 200] * 1000}
    with engine.client() as client:
        wrong = client.post("/rerank", json=large, headers={"authorization": "Bearer wrong"})
        too_many = client.post("/rerank", json=large)
        right = client.post("/rerank", json=MILVUS)
    assert [401, 413, 200] == [wrong.status_code, too_many.status_code, right.status_code]


def test_a_request_with_too_many_documents_is_told_the_limit(engine: Engine) -> None:
    at_the_limit = engine.rerank({"query": QUESTION, "documents": ["Paris"] * LIMIT})
    above_it = engine.rerank({"query": QUESTION, "documents": ["Paris"] * (LIMIT + 1)})
    assert (200, LIMIT) == (at_the_limit.status_code, len(at_the_limit.json()["results"]))
    error = above_it.json()["error"]
    assert (413, "documents") == (above_it.status_code, error["param"])
    assert "201 documents in one request, the limit here is 200; send them in parts" == error["message"]


@pytest.mark.parametrize("own", [{}, {"truncate_prompt_tokens": None}, {"truncate_prompt_tokens": 64}])
def test_an_overlong_document_does_not_fail_the_others(engine: Engine, own: dict[str, Any]) -> None:
    answer = engine.rerank(OVERLONG | own)
    assert (200, [0, 1]) == (answer.status_code, sorted(result["index"] for result in answer.json()["results"]))


def test_the_truncation_that_a_client_asks_for_is_left_to_it(engine: Engine) -> None:
    answer = engine.rerank(OVERLONG | {"truncate_prompt_tokens": 100_000})
    assert (400, "truncate_prompt_tokens value") == (answer.status_code, answer.json()["error"]["message"][:28])


def test_a_chunked_request_is_answered(engine: Engine) -> None:
    body = json.dumps(OVERLONG).encode()
    chunks = (body[at : at + 100] for at in range(0, len(body), 100))
    answer = engine.ask("POST", "/rerank", content=chunks, headers={"content-type": "application/json"})
    assert 200 == answer.status_code


@pytest.mark.parametrize("body", [b"", b"{bad json", b"[]"])
def test_what_is_no_request_gets_the_refusal_of_vllm(engine: Engine, body: bytes) -> None:
    answer = engine.ask("POST", "/rerank", content=body, headers={"content-type": "application/json"})
    assert (400, "Bad Request") == (answer.status_code, answer.json()["error"]["type"])


def test_a_compressed_request_gets_the_refusal_of_vllm(engine: Engine) -> None:
    body = gzip.compress(json.dumps(MILVUS).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = engine.ask("POST", "/rerank", content=body, headers=headers)
    assert (400, {"detail": "There was an error parsing the body"}) == (answer.status_code, answer.json())


def test_a_secret_is_rotated_without_a_restart(engine: Engine) -> None:
    try:
        mount(engine.keys, {"people": f"{KEY}\nold"})
        wait_until(lambda: engine.lets_in("old"), 10)
        mount(engine.keys, {"people": f"{KEY}\nnew"})
        wait_until(lambda: engine.lets_in("new"), 10)
        assert [False, True] == [engine.lets_in("old"), engine.lets_in(KEY)]
    finally:
        mount(engine.keys, {"people": KEY})
    wait_until(lambda: not engine.lets_in("new"), 10)
    assert "rerank_guard: keys in" in engine.server.log()
    assert KEY not in engine.server.log()


def test_without_its_keys_the_engine_is_closed_and_not_ready(engine: Engine) -> None:
    assert 200 == engine.rerank(MILVUS).status_code
    away = engine.keys.rename(engine.keys.with_name("away"))
    try:
        wait_until(lambda: not engine.lets_in(KEY), 10)
        ready = engine.ask("GET", "/ready", key=None)
        expected = f"no key in {engine.keys}: "
        assert (503, expected) == (ready.status_code, ready.json()["error"]["message"][: len(expected)])
        assert [200, 200] == [engine.ask("GET", path, key=None).status_code for path in ("/health", "/metrics")]
    finally:
        away.rename(engine.keys)
    wait_until(lambda: engine.ask("GET", "/ready", key=None).status_code == 200, 10)
    assert engine.lets_in(KEY)


def test_a_client_that_leaves_in_the_middle_of_its_request_stays_in_nobodys_way(engine: Engine) -> None:
    head = (
        f"POST /rerank HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
        "content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", engine.server.port)) as connection:
        connection.sendall(head.encode() + b'{"query": "')
    assert 200 == engine.rerank(MILVUS).status_code
    drained = engine.ask("POST", "/drain?lame=0&timeout=10", key=engine.token.read_text())
    assert (200, {"in_flight": 0}) == (drained.status_code, drained.json())
    assert [401, 503] == [engine.rerank(MILVUS, key=None).status_code, engine.rerank(MILVUS).status_code]
