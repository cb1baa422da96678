"""The guard inside the real vLLM, and the engine double beside it: do they answer alike?

One server for all tests. The drain comes last, because it is never undone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from rerank_operator.engine import rerank_guard, rerank_probe
from tests.doubles.engine import EngineDouble
from tests.engine.server import VllmServer
from tests.engine.tiny_reranker import ANSWER, DOCUMENTS, QUESTION, ensure_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
MILVUS = {"query": QUESTION, "documents": list(DOCUMENTS)}
OVERLONG = {"query": QUESTION, "documents": [DOCUMENTS[0], "capital " * 600]}
LOST = httpx.Timeout(300)


class Engine(NamedTuple):
    """The real server and where its guard writes the token."""

    server: VllmServer
    guard: Path
    token: Path

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.server.url + path, timeout=LOST)

    def post(self, path: str, body: Any) -> httpx.Response:
        return httpx.post(self.server.url + path, json=body, timeout=LOST)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("guard")
    # Alone in its folder, as it is in the pod.
    guard = Path(shutil.copy(rerank_guard.__file__, folder))
    token = folder / "token"
    variables = {"RERANK_GUARD_TOKEN_FILE": str(token)}
    with VllmServer(ensure_model(), middleware=guard, variables=variables) as server:
        yield Engine(server, guard, token)


@pytest.fixture(scope="module")
def double(engine: Engine) -> Iterator[EngineDouble]:
    (model,) = engine.get("/v1/models").json()["data"]
    with EngineDouble(model=model["id"], max_model_len=model["max_model_len"]) as double:
        yield double


def test_the_real_engine_is_ready(engine: Engine) -> None:
    answer = engine.get("/ready")
    assert (200, {"ready": True}) == (answer.status_code, answer.json())


@pytest.mark.parametrize("route", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_milvus_is_answered_rightly_through_the_guard(engine: Engine, route: str) -> None:
    answer = engine.post(route, MILVUS)
    results = answer.json()["results"]
    assert 200 == answer.status_code
    assert ANSWER == results[0]["index"]
    assert [0, 1, 2] == sorted(result["index"] for result in results)
    assert "connection" not in answer.headers


def test_the_exec_probe_accepts_the_real_engine(engine: Engine) -> None:
    command = [sys.executable, "-I", "-S", rerank_probe.__file__, "--port", str(engine.server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stdout)


def test_a_drain_without_the_token_looks_like_a_path_that_vllm_does_not_have(engine: Engine) -> None:
    unknown, drain = engine.post("/no-such-path", {}), engine.post("/drain", {})
    assert (404, unknown.json()) == (drain.status_code, drain.json())
    assert set(unknown.headers) == set(drain.headers)


REQUESTS: dict[str, tuple[str, str, Any]] = {
    "rerank": ("POST", "/rerank", MILVUS),
    "rerank v1 with the model": ("POST", "/v1/rerank", {"model": "tiny-reranker", **MILVUS}),
    "rerank v2": ("POST", "/v2/rerank", MILVUS),
    "top_n": ("POST", "/rerank", MILVUS | {"top_n": 1}),
    "negative top_n": ("POST", "/rerank", MILVUS | {"top_n": -1}),
    "documents as one string": ("POST", "/rerank", MILVUS | {"documents": DOCUMENTS[0]}),
    "unknown field": ("POST", "/rerank", MILVUS | {"unknown": 1}),
    "empty model": ("POST", "/rerank", MILVUS | {"model": ""}),
    "wrong model": ("POST", "/rerank", MILVUS | {"model": "nope"}),
    "no documents": ("POST", "/rerank", MILVUS | {"documents": []}),
    "missing documents": ("POST", "/rerank", {"query": QUESTION}),
    "missing query": ("POST", "/rerank", {"documents": ["a"]}),
    "query is a list": ("POST", "/rerank", MILVUS | {"query": ["a"]}),
    "documents are numbers": ("POST", "/rerank", MILVUS | {"documents": [1]}),
    "overlong": ("POST", "/rerank", OVERLONG),
    "overlong, truncated": ("POST", "/rerank", OVERLONG | {"truncate_prompt_tokens": -1}),
    "truncated to too much": ("POST", "/rerank", OVERLONG | {"truncate_prompt_tokens": 100_000}),
    "rerank by GET": ("GET", "/rerank", None),
    "unknown path": ("GET", "/no-such-path", None),
    "health": ("GET", "/health", None),
    "version": ("GET", "/version", None),
    "models": ("GET", "/v1/models", None),
    "ready": ("GET", "/ready", None),
    "drain": ("POST", "/drain", None),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_double_answers_like_the_real_engine(engine: Engine, double: EngineDouble, name: str) -> None:
    method, path, body = REQUESTS[name]
    real, played = (
        httpx.request(method, url + path, json=body, timeout=LOST) for url in (engine.server.url, double.url)
    )
    assert (real.status_code, shape(real)) == (played.status_code, shape(played))


@pytest.mark.parametrize("body", [b"{bad json", b"", b"[]"])
def test_the_double_refuses_what_is_no_request_like_the_real_engine(
    engine: Engine, double: EngineDouble, body: bytes
) -> None:
    headers = {"content-type": "application/json"}
    real, played = (
        httpx.post(url + "/rerank", content=body, headers=headers) for url in (engine.server.url, double.url)
    )
    assert (real.status_code, shape(real)) == (played.status_code, shape(played))


def test_the_double_has_the_metrics_that_are_read_from_the_real_engine(engine: Engine, double: EngineDouble) -> None:
    real, played = (series(httpx.get(f"{url}/metrics").text) for url in (engine.server.url, double.url))
    assert set() == played - real


def test_a_drain_loses_no_request_that_is_in_flight(engine: Engine) -> None:
    documents = [f"{number} " + "the capital of france is paris " * 40 for number in range(300)]
    answers: list[httpx.Response] = []
    big = threading.Thread(
        target=lambda: answers.append(engine.post("/rerank", {"query": QUESTION, "documents": documents}))
    )
    big.start()
    wait_until(lambda: engine_load(engine) > 0)

    hook = start_hook(engine, lame=1, timeout=240)
    wait_until(lambda: engine.get("/ready").status_code == httpx.codes.SERVICE_UNAVAILABLE)
    lame = engine.post("/rerank", MILVUS)
    assert (200, "close", 3) == (lame.status_code, lame.headers["connection"], len(lame.json()["results"]))

    wait_until(lambda: engine.post("/rerank", MILVUS).status_code == httpx.codes.SERVICE_UNAVAILABLE)
    assert 200 == engine.get("/health").status_code

    said, _ = hook.communicate()
    big.join()
    assert (0, '{"in_flight": 0}\n') == (hook.returncode, said[-17:])
    assert "rerank_guard: drained: 0 in flight" in engine.server.log()
    assert (200, 300) == (answers[0].status_code, len(answers[0].json()["results"]))


def start_hook(engine: Engine, *, lame: int, timeout: int) -> subprocess.Popen[str]:
    options = {
        "--lame": lame,
        "--timeout": timeout,
        "--port": engine.server.port,
        "--token-file": engine.token,
    }
    arguments = [str(part) for option in options.items() for part in option]
    command = [sys.executable, "-I", "-S", str(engine.guard), "drain", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def engine_load(engine: Engine) -> float:
    """Return how many query-document pairs the engine holds now."""
    counted = ("vllm:num_requests_running", "vllm:num_requests_waiting{")
    lines = engine.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(counted))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shape(answer: httpx.Response) -> Any:
    """Return the structure of a JSON answer with the type of each value; of an error, all but its words."""
    if not answer.content:
        return answer.headers.get("content-type")
    body = json.loads(answer.content)
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return body["error"] | {"message": str}
    return types(body)


def types(value: Any) -> Any:
    """Return a JSON value with each scalar replaced by its type, and each list by its first element."""
    match value:
        case dict():
            return {key: types(inner) for key, inner in value.items()}
        case list():
            return [types(inner) for inner in value[:1]]
        case _:
            return type(value)


def series(text: str) -> set[str]:
    """Return the names of the series in a metrics page."""
    return {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if line[:1] != "#"}
