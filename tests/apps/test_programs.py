"""The programs of docs/apps against a real Milvus Lite and the real vLLM: each unchanged, in its own environment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from tests.apps.environments import APPS
from tests.apps.programs import PROGRAMS, SEARCH, Program, environment, from_keys, mounted
from tests.doubles.milvus_lite_server import MilvusLite, free_port
from tests.engine.server import VllmServer
from tests.engine.tiny_reranker import ensure_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]

FRANCE, PARIS = "What is the capital of France?", "The capital of France is Paris."
BRAZIL, BRASILIA = "What is the capital of Brazil?", "The capital of Brazil is Brasilia."
# It shares more words with the question than the answer does.
NEAREST = "Nobody knows what the capital of France is."
SERVE_SECONDS = 60.0
POLL_SECONDS = 0.1
# The program unchanged, but on a free port of loopback.
SERVE = """
import http.server, sys, search
search.ThreadingHTTPServer = lambda _, handler: http.server.ThreadingHTTPServer(("127.0.0.1", {port}), handler)
sys.argv = ["search.py", "serve"]
search.main()
"""


class Bed(NamedTuple):
    """Where Milvus Lite and the reranker are."""

    milvus: str
    engine: str


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with MilvusLite(tmp_path_factory.mktemp("milvus")) as lite, VllmServer(ensure_model()) as engine:
        yield Bed(lite.url, engine.url)


@pytest.fixture(scope="module", params=PROGRAMS, ids=[program.file for program in PROGRAMS])
def program(request: pytest.FixtureRequest, bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Each program in turn, its collection filled by itself, twice."""
    filled: Program = request.param
    variables = {"MILVUS_ADDRESS": bed.milvus, **mounted(tmp_path_factory.mktemp("config"), bed.engine)}
    for _ in range(2):
        filled.run("fill", variables=variables)
    return filled


def texts(hits: list[dict[str, object]]) -> list[object]:
    return [hit["text"] for hit in hits]


def test_the_answer_comes_first_and_each_question_has_its_own(program: Program, bed: Bed, tmp_path: Path) -> None:
    variables = {"MILVUS_ADDRESS": bed.milvus, **mounted(tmp_path, bed.engine)}
    answer, errors = program.ask(FRANCE, BRAZIL, variables=variables)

    assert (True, None) == (answer["reranked"], answer["problem"])
    assert "not reranked" not in errors
    assert [PARIS, BRASILIA] == [texts(hits)[0] for hits in answer["results"]]
    for hits in answer["results"]:
        assert 3 == len(set(texts(hits)))
        right, second = hits[0]["score"], hits[1]["score"]
        assert right > 0.9, "the score of the reranker, not of the vectors"
        assert second < 0.2


def test_without_the_reranker_the_vectors_decide_and_it_says_so(program: Program, bed: Bed) -> None:
    gone = {"MILVUS_ADDRESS": bed.milvus, **from_keys(f"http://127.0.0.1:{free_port()}")}
    answer, errors = program.ask(FRANCE, variables=gone)

    assert answer["reranked"] is False
    assert answer["problem"].startswith("not reranked: ")
    assert answer["problem"] in errors
    assert [NEAREST, PARIS] == texts(answer["results"][0])[:2]


def test_the_keys_of_the_config_map_may_be_variables(bed: Bed) -> None:
    variables = {"MILVUS_ADDRESS": bed.milvus, **from_keys(bed.engine)}
    SEARCH.run("fill", variables=variables)
    answer, _ = SEARCH.ask(FRANCE, variables=variables)

    assert answer["reranked"] is True
    assert PARIS == texts(answer["results"][0])[0]


def test_a_search_over_http_is_reranked(bed: Bed, tmp_path: Path) -> None:
    variables = environment({"MILVUS_ADDRESS": bed.milvus, **mounted(tmp_path, bed.engine)})
    port = free_port()
    command = [sys.executable, "-c", SERVE.format(port=port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=APPS, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_until_it_serves(client, process, tmp_path / "log")
            answer = client.get("/search", params={"q": [FRANCE, BRAZIL]})
            assert 404 == client.get("/search").status_code
    finally:
        process.kill()
        process.wait()
    assert 200 == answer.status_code
    assert answer.json()["reranked"] is True
    assert [PARIS, BRASILIA] == [texts(hits)[0] for hits in answer.json()["results"]]


def wait_until_it_serves(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SERVE_SECONDS
    while True:
        try:
            assert "milvus_lite" in client.get("/healthz").json()["milvus"]
        except httpx.TransportError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(POLL_SECONDS)
        else:
            return


def test_a_change_of_the_mounted_files_is_used_at_once(bed: Bed, tmp_path: Path) -> None:
    variables = {"MILVUS_ADDRESS": bed.milvus, **mounted(tmp_path, bed.engine)}
    SEARCH.run("fill", variables=variables)
    function = json.loads((tmp_path / "milvus-lite.json").read_text())
    (tmp_path / "milvus-lite.json").write_text(json.dumps({**function, "model_name": "another"}))

    assert "another" in SEARCH.ask(FRANCE, variables=variables)[0]["problem"]
