"""The engine double, held against answers that were recorded from the real vLLM 0.32."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.doubles.engine import EngineDouble, Request
from tests.doubles.rerank_answers import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
RECORDINGS = ROOT / "tests" / "recordings" / "vllm-0.32"
DOCUMENTS = [
    "The capital of Brazil is Brasilia.",
    "The capital of France is Paris.",
    "Horses and cows are both animals",
]
QUESTION = {"query": "What is the capital of France?", "documents": DOCUMENTS}
OVERLONG = QUESTION | {"documents": [DOCUMENTS[0], "capital " * 600]}
MODEL = "tiny-rerank"
# One client, since making one takes longer than a request; no kept connections, since doubles come and go.
HTTP = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture(scope="module")
def shared() -> Iterator[EngineDouble]:
    with EngineDouble(model=MODEL) as engine:
        yield engine


@pytest.fixture
def engine(shared: EngineDouble) -> EngineDouble:
    shared.mode = "right"
    shared.requests.clear()
    return shared


def ask(engine: EngineDouble, mode: str, **change: Any) -> httpx.Response:
    engine.mode = mode
    return HTTP.post(f"{engine.url}/rerank", json=QUESTION | change)


def pairs(answer: httpx.Response) -> list[tuple[int, Any]]:
    return [(result["index"], result["relevance_score"]) for result in answer.json()["results"]]


def shape(value: Any) -> Any:
    """Return a JSON value with each scalar replaced by its type, and each list by its first element."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in value.items()}
        case list():
            return [shape(inner) for inner in value[:1]]
        case _:
            return type(value)


RIGHT_ANSWERS: dict[str, tuple[str, str, Any]] = {
    "rerank": ("POST", "/rerank", QUESTION),
    "top-n": ("POST", "/v1/rerank", QUESTION | {"top_n": 1}),
    "one-string": ("POST", "/v2/rerank", QUESTION | {"documents": DOCUMENTS[0]}),
    "health": ("GET", "/health", None),
    "version": ("GET", "/version", None),
    "models": ("GET", "/v1/models", None),
}
# Which fields the words of these errors list depends on pydantic, so only the rest is compared.
VALIDATION_ERRORS: dict[str, Any] = {
    "negative-top-n": QUESTION | {"top_n": -1},
    "missing-documents": {"query": "a"},
    "missing-query": {"documents": ["a"]},
    "documents-are-numbers": QUESTION | {"documents": [1, 2]},
    "query-is-a-list": QUESTION | {"query": ["a", "b"]},
}
OTHER_ERRORS: dict[str, tuple[str, str, str, Any]] = {
    "wrong-model": ("right", "POST", "/v1/rerank", QUESTION | {"model": "nope"}),
    "no-documents": ("right", "POST", "/v1/rerank", QUESTION | {"documents": []}),
    "overlong": ("right", "POST", "/v1/rerank", OVERLONG),
    "truncated-to-too-much": ("right", "POST", "/v1/rerank", OVERLONG | {"truncate_prompt_tokens": 100_000}),
    "rerank-by-get": ("right", "GET", "/v1/rerank", None),
    "unknown-path": ("right", "GET", "/nope", None),
    "engine-dead": ("engine-dead", "POST", "/rerank", QUESTION),
    "unauthorized": ("unauthorized", "POST", "/v1/rerank", QUESTION),
    "busy": ("busy", "POST", "/rerank", QUESTION),
}


def recorded(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())
    return answer


@pytest.mark.parametrize("name", RIGHT_ANSWERS)
def test_a_right_answer_has_the_recorded_shape(engine: EngineDouble, name: str) -> None:
    method, path, body = RIGHT_ANSWERS[name]
    answer = HTTP.request(method, engine.url + path, json=body)
    expected = recorded(name)
    assert expected["status"] == answer.status_code
    assert shape(expected["body"]) == shape(answer.json() if answer.content else None)


@pytest.mark.parametrize("name", VALIDATION_ERRORS)
def test_a_validation_error_is_as_recorded_but_for_its_words(engine: EngineDouble, name: str) -> None:
    answer = HTTP.post(f"{engine.url}/v1/rerank", json=VALIDATION_ERRORS[name])
    expected = recorded(name)
    assert expected["status"] == answer.status_code
    assert expected["body"]["error"] | {"message": ""} == answer.json()["error"] | {"message": ""}


@pytest.mark.parametrize(("name", "body"), [("malformed-json", b"{bad json"), ("empty-body", b"")])
def test_what_is_no_json_is_refused_as_recorded(engine: EngineDouble, name: str, body: bytes) -> None:
    answer = HTTP.post(f"{engine.url}/v1/rerank", content=body)
    expected = recorded(name)
    assert expected["status"] == answer.status_code
    assert expected["body"]["error"] | {"message": ""} == answer.json()["error"] | {"message": ""}


@pytest.mark.parametrize("name", OTHER_ERRORS)
def test_an_error_is_word_for_word_as_recorded(engine: EngineDouble, name: str) -> None:
    mode, method, path, body = OTHER_ERRORS[name]
    engine.mode = mode
    answer = HTTP.request(method, engine.url + path, json=body)
    assert recorded(name) == {"status": answer.status_code, "body": answer.json()}


def test_every_recording_is_compared() -> None:
    compared = {*RIGHT_ANSWERS, *VALIDATION_ERRORS, *OTHER_ERRORS, "malformed-json", "empty-body"}
    assert {path.stem for path in RECORDINGS.iterdir()} == compared


def test_the_document_that_answers_comes_first(engine: EngineDouble) -> None:
    ranked = pairs(ask(engine, "right"))
    assert [1, 0, 2] == [index for index, _ in ranked]
    assert sorted((score for _, score in ranked), reverse=True) == [score for _, score in ranked]


def test_a_script_without_spaces_ranks_too(engine: EngineDouble) -> None:
    answer = ask(engine, "right", query="法国的首都是哪里?", documents=["巴西的首都是巴西利亚。", "法国的首都是巴黎。"])
    assert 1 == pairs(answer)[0][0]


def test_documents_that_overlap_equally_score_apart(engine: EngineDouble) -> None:
    (_, first), (_, second) = pairs(ask(engine, "right", documents=["red cows", "big cows"]))
    assert first - second > 1e-6


def test_the_model_is_optional_and_any_name_can_be_allowed(engine: EngineDouble) -> None:
    assert MODEL == ask(engine, "right").json()["model"]
    with EngineDouble(model=None) as other:
        assert "bge" == ask(other, "right", model="bge").json()["model"]


def test_a_request_id_comes_back(engine: EngineDouble) -> None:
    answer = HTTP.post(f"{engine.url}/rerank", json=QUESTION, headers={"X-Request-Id": "abc-123"})
    assert "score-abc-123" == answer.json()["id"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("constant-scores", [(0, 0.3227576), (1, 0.3227576), (2, 0.3227576)]),
        ("missing-result", [(1, float), (0, float)]),
        ("extra-result", [(1, float), (0, float), (2, float), (3, float)]),
        ("duplicate-index", [(1, float), (0, float), (1, float)]),
        ("null-score", [(1, None), (0, float), (2, float)]),
        ("string-score", [(1, "0.5"), (0, float), (2, float)]),
        ("wrong-order", [(2, float), (0, float), (1, float)]),
    ],
)
def test_a_mode_spoils_the_results(engine: EngineDouble, mode: str, expected: list[tuple[int, Any]]) -> None:
    answer = ask(engine, mode)
    found = [
        (index, type(score) if wanted is float else score)
        for (index, score), (_, wanted) in zip(pairs(answer), expected, strict=True)
    ]
    assert (200, expected) == (answer.status_code, found)


def test_a_nan_score_is_written_as_a_bare_word(engine: EngineDouble) -> None:
    assert b'"relevance_score":NaN' in ask(engine, "nan-score").content


@pytest.mark.parametrize(("mode", "status"), [("right", 200), ("overlong-rejected", 400)])
def test_truncation_saves_an_overlong_document_unless_it_is_ignored(
    engine: EngineDouble, mode: str, status: int
) -> None:
    answer = ask(engine, mode, documents=OVERLONG["documents"], truncate_prompt_tokens=-1)
    assert status == answer.status_code


def test_a_model_that_is_no_reranker_is_healthy_and_has_no_route(engine: EngineDouble) -> None:
    answer = ask(engine, "no-rerank-route")
    assert (404, {"detail": "Not Found"}) == (answer.status_code, answer.json())
    assert 200 == HTTP.get(f"{engine.url}/health").status_code
    assert 404 == HTTP.get(f"{engine.url}/rerank").status_code


def test_a_wrong_model_is_answered_as_recorded(engine: EngineDouble) -> None:
    answer = ask(engine, "wrong-model", model="nope")
    assert recorded("wrong-model") == {"status": answer.status_code, "body": answer.json()}


def test_a_slow_engine_answers_rightly_later(engine: EngineDouble) -> None:
    answer = ask(engine, "slow:0.05")
    assert "slow:0.05" == engine.mode
    assert answer.elapsed.total_seconds() >= 0.05
    assert 1 == pairs(answer)[0][0]


def test_an_engine_that_hangs_is_healthy_and_never_answers(engine: EngineDouble) -> None:
    engine.mode = "hang"
    with pytest.raises(httpx.ReadTimeout):
        HTTP.post(f"{engine.url}/rerank", json=QUESTION, timeout=0.1)
    assert 200 == HTTP.get(f"{engine.url}/health").status_code


def test_a_double_stops_while_a_request_hangs() -> None:
    failures: list[Exception] = []

    def wait_for_ever(url: str) -> None:
        try:
            HTTP.post(f"{url}/rerank", json=QUESTION, timeout=60)
        except httpx.TransportError as error:
            failures.append(error)

    with EngineDouble() as engine:
        engine.mode = "hang"
        client = threading.Thread(target=wait_for_ever, args=(engine.url,))
        client.start()
        while not engine.requests:
            client.join(0.01)
    client.join()
    assert 1 == len(failures)


def test_an_engine_refuses_connections_and_comes_back_on_its_port(engine: EngineDouble) -> None:
    url = engine.url
    engine.mode = "connection-refused"
    with pytest.raises(httpx.ConnectError):
        HTTP.get(f"{url}/health")
    engine.mode = "right"
    assert 200 == HTTP.get(f"{url}/health").status_code


@pytest.mark.parametrize("mode", sorted(set(Mode) - {Mode.CONNECTION_REFUSED}))
def test_ready_tells_what_the_guard_would(engine: EngineDouble, mode: Mode) -> None:
    ready = {"right", "constant-scores", "wrong-order", "overlong-rejected", "slow", "half-scores", "logits"}
    ready |= {"constant-when-truncated"}
    engine.mode = mode
    answer = HTTP.get(f"{engine.url}/ready")
    assert (200 if mode in ready else 503) == answer.status_code


def test_without_the_guard_there_is_no_ready() -> None:
    with EngineDouble(guard=False) as engine:
        assert {"detail": "Not Found"} == HTTP.get(f"{engine.url}/ready").json()


def test_requests_are_kept_as_they_came(engine: EngineDouble) -> None:
    HTTP.post(f"{engine.url}/v2/rerank?a=b", json=QUESTION, headers={"Authorization": "Bearer x"})
    HTTP.post(f"{engine.url}/rerank", content=b"no json")
    HTTP.get(f"{engine.url}/health")
    (path, headers, body), second, third = engine.requests
    assert ("/v2/rerank", "Bearer x", QUESTION) == (path, headers["Authorization"], body)
    assert ("no json", Request("/health", third.headers, None)) == (second.body, third)


def test_metrics_count_pairs_and_answers() -> None:
    with EngineDouble() as engine:
        ask(engine, "right")
        lines = HTTP.get(f"{engine.url}/metrics").text.splitlines()
    labels = 'engine="0",model_name="tiny-reranker"'
    assert f"vllm:num_requests_waiting{{{labels}}} 0.0" in lines
    assert f'vllm:request_success_total{{{labels},finished_reason="stop"}} 3.0' in lines
    assert 'http_requests_total{handler="/rerank",method="POST",status="2xx"} 1.0' in lines


def test_doubles_on_several_addresses_share_a_port() -> None:
    with EngineDouble("127.0.0.2") as first, EngineDouble("127.0.0.3", first.port) as second:
        second.mode = "busy"
        statuses = [ask(engine, engine.mode).status_code for engine in (first, second)]
    assert [200, 503] == statuses


def test_one_double_plays_many_pods_that_differ() -> None:
    with EngineDouble("0.0.0.0") as engine:
        engine.modes["127.0.0.8"] = "busy"
        urls = [f"http://127.0.0.{number}:{engine.port}/rerank" for number in (7, 8, 9)]
        assert [200, 503, 200] == [HTTP.post(url, json=QUESTION).status_code for url in urls]


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address already in use"), EngineDouble("127.0.0.1", port):
            pass


def test_an_unknown_mode_is_refused_with_the_known_ones(engine: EngineDouble) -> None:
    with pytest.raises(ValueError, match=r"mode 'sleepy' is none of right, constant-scores, .*slow:2\.5"):
        engine.mode = "sleepy"
    assert "right" == engine.mode


def test_the_command_serves_until_it_is_ended() -> None:
    command = [sys.executable, "-m", "tests.doubles.engine", "--port", "0", "--mode", "busy"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        status = HTTP.post(f"{url}/rerank", json=QUESTION).status_code
        process.terminate()
    assert 503 == status
