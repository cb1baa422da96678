"""The guard between a client and an engine: readiness, evidence, and what passes through."""

from __future__ import annotations

import ast
import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rerank_operator.engine import rerank_guard
from rerank_operator.engine.rerank_guard import Guard
from tests.doubles.asgi import AsgiEngine, Response, call, http_scope
from tests.doubles.rerank_answers import Mode

if TYPE_CHECKING:
    from tests.doubles.asgi import App, Message

pytestmark = pytest.mark.anyio
QUESTION = {
    "query": "What is the capital of France?",
    "documents": ["The capital of Brazil is Brasilia.", "The capital of France is Paris."],
}
RIGHT = {"ready": True}


class Clock(SimpleNamespace):
    """Stands in for the guard's ``time`` module."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rerank_guard, "time", clock)
    return clock


@pytest.fixture
async def engine() -> AsgiEngine:
    return AsgiEngine()


async def started(engine: App) -> Guard:
    """Return a guard that has read its environment."""
    guard = Guard(engine)
    assert [{"type": "lifespan.startup.complete"}] == await start(guard)
    return guard


async def start(guard: Guard) -> list[Message]:
    """Start the application behind the guard, end it, and return what it says of the start."""
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    said: list[Message] = []

    async def receive() -> Message:
        return events.pop(0)

    async def send(message: Message) -> None:
        said.append(message)

    await guard({"type": "lifespan"}, receive, send)
    return [message for message in said if message["type"] != "lifespan.shutdown.complete"]


async def stay_connected() -> Message:
    """Be the ``receive`` of a client that has sent everything and waits."""
    return await asyncio.Future["Message"]()


async def ignore(_message: Message) -> None:
    """Be the ``send`` of a client that does not look."""


async def ready(guard: Guard) -> Response:
    return await call(guard, "GET", "/ready")


async def test_ready_is_a_forward_pass_over_two_documents(engine: AsgiEngine) -> None:
    answer = await ready(await started(engine))
    assert (200, RIGHT) == (answer.status, answer.json)
    assert ["/rerank"] == [scope["path"] for scope in engine.scopes]
    assert 2 == len(engine.bodies[0]["documents"])


async def test_the_forward_pass_enters_with_a_copy_of_the_real_scope(engine: AsgiEngine) -> None:
    guard = await started(engine)
    real = http_scope("GET", "/ready", query="a=b", headers=[("authorization", "Bearer kept-out")])
    before = dict(real)

    await guard(real, stay_connected, ignore)
    asked = engine.scopes[0]
    assert before == real
    assert ("POST", b"/rerank", b"", real["app"]) == tuple(
        asked[key] for key in ("method", "raw_path", "query_string", "app")
    )
    assert asked["state"] is not real["state"]
    assert b"authorization" not in dict(asked["headers"])


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Mode.MISSING_RESULT, "/rerank answered 1 results where 2 were due"),
        (Mode.EXTRA_RESULT, "/rerank answered 3 results where 2 were due"),
        (Mode.DUPLICATE_INDEX, "/rerank answered wrong indexes: ["),
        (Mode.NAN_SCORE, "/rerank answered a score that is not a finite number: "),
        (Mode.NULL_SCORE, "/rerank answered a score that is not a finite number: "),
        (Mode.STRING_SCORE, "/rerank answered a score that is not a finite number: "),
        (Mode.NO_RERANK_ROUTE, '/rerank answered 404: {"detail":"Not Found"}'),
        (Mode.WRONG_MODEL, "/rerank answered 404: "),
        (Mode.ENGINE_DEAD, "/rerank answered 500: "),
        (Mode.BUSY, "/rerank answered 503: "),
    ],
)
async def test_a_wrong_forward_pass_is_not_ready(engine: AsgiEngine, mode: Mode, reason: str) -> None:
    engine.mode = mode
    answer = await ready(await started(engine))
    assert 503 == answer.status
    error = answer.json["error"]
    assert ("Service Unavailable", None, 503) == (error["type"], error["param"], error["code"])
    assert reason == error["message"][: len(reason)]


async def test_an_engine_that_raises_is_not_ready(engine: AsgiEngine) -> None:
    engine.failure = RuntimeError("no engine")
    answer = await ready(await started(engine))
    assert "/rerank raised RuntimeError('no engine')" == answer.json["error"]["message"]


@pytest.mark.parametrize("said", [b"<html>", b"[]", b"{}", b'{"results":[{"index":[],"relevance_score":1}]}'])
async def test_an_answer_of_another_shape_is_not_ready(said: bytes) -> None:
    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await AsgiEngine()(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said})

    answer = await ready(await started(gateway))
    assert 503 == answer.status


async def test_an_answer_that_breaks_off_is_not_ready() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await AsgiEngine()(scope, receive, send)

    answer = await ready(await started(broken))
    assert "/rerank ended without a complete answer" == answer.json["error"]["message"]


async def test_the_log_says_once_why_an_engine_is_not_ready(
    engine: AsgiEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    guard = await started(engine)
    for mode in (Mode.BUSY, Mode.BUSY, Mode.RIGHT, Mode.RIGHT):
        engine.mode = mode
        await ready(guard)
    said = capsys.readouterr().err.splitlines()
    assert ["rerank_guard: not ready: /rerank answered 503", "rerank_guard: ready"] == [line[:45] for line in said]


async def test_two_probes_at_once_share_one_forward_pass(engine: AsgiEngine) -> None:
    guard = await started(engine)
    engine.hold()
    probes = [asyncio.create_task(ready(guard)) for _ in range(2)]
    await engine.arrived.wait()
    engine.release()
    assert [RIGHT, RIGHT] == [answer.json for answer in await asyncio.gather(*probes)]
    assert 1 == engine.reranks


async def test_a_forward_pass_that_takes_too_long_is_not_ready_and_counts_when_it_ends(
    engine: AsgiEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_GUARD_READY_TIMEOUT_SECONDS", "0.01")
    guard = await started(engine)
    engine.hold()
    answer = await ready(guard)
    assert "no forward pass within 0.01 s" == answer.json["error"]["message"]
    engine.release()
    async with asyncio.timeout(10):
        while (await ready(guard)).status != 200:
            pass
    assert 1 == engine.reranks


async def test_a_forward_pass_that_never_ends_gives_way_to_a_new_one(
    engine: AsgiEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_GUARD_READY_TIMEOUT_SECONDS", "0.01")
    guard = await started(engine)
    engine.hold()
    assert 503 == (await ready(guard)).status
    assert 1 == engine.reranks
    clock.now += 1
    assert 503 == (await ready(guard)).status
    assert 2 == engine.reranks


async def test_a_right_answer_to_a_client_is_evidence(engine: AsgiEngine) -> None:
    guard = await started(engine)
    await call(guard, "POST", "/v2/rerank", body=QUESTION)
    assert RIGHT == (await ready(guard)).json
    assert 1 == engine.reranks


async def test_an_answer_to_top_n_is_evidence(engine: AsgiEngine) -> None:
    guard = await started(engine)
    await call(guard, "POST", "/v1/rerank", body=QUESTION | {"top_n": 1})
    await ready(guard)
    assert 1 == engine.reranks


@pytest.mark.parametrize("mode", [Mode.MISSING_RESULT, Mode.NAN_SCORE, Mode.ENGINE_DEAD, Mode.DUPLICATE_INDEX])
async def test_a_wrong_answer_to_a_client_is_no_evidence(engine: AsgiEngine, mode: Mode) -> None:
    guard = await started(engine)
    engine.mode = mode
    await call(guard, "POST", "/rerank", body=QUESTION)
    engine.mode = Mode.RIGHT
    await ready(guard)
    assert 2 == engine.reranks


async def test_an_answer_too_large_to_keep_is_no_evidence(engine: AsgiEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerank_guard, "LISTEN_LIMIT_BYTES", 300)
    guard = await started(engine)
    answer = await call(guard, "POST", "/rerank", body=QUESTION)
    assert 2 == len(answer.json["results"])
    await ready(guard)
    assert 2 == engine.reranks


async def test_evidence_grows_old(engine: AsgiEngine, clock: Clock) -> None:
    guard = await started(engine)
    await call(guard, "POST", "/rerank", body=QUESTION)
    clock.now += 15
    await ready(guard)
    assert 1 == engine.reranks
    clock.now += 1
    await ready(guard)
    assert 2 == engine.reranks


async def test_a_frozen_engine_is_not_ready_once_the_evidence_is_old(
    engine: AsgiEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_GUARD_READY_TIMEOUT_SECONDS", "0.01")
    guard = await started(engine)
    await call(guard, "POST", "/rerank", body=QUESTION)
    engine.hold()
    assert 200 == (await ready(guard)).status
    clock.now += 16
    assert 503 == (await ready(guard)).status


async def test_with_fresh_evidence_a_request_passes_untouched(engine: AsgiEngine) -> None:
    passed: list[tuple[Any, Any, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append((scope, receive, send))
        await engine(scope, receive, send)

    guard = await started(app)
    await ready(guard)
    scope = http_scope("POST", "/rerank")
    body: Message = {"type": "http.request", "body": b'{"query":"a","documents":["b"]}'}

    async def receive() -> Message:
        return body

    await guard(scope, receive, ignore)
    assert (scope, receive) == passed[-1][:2]


async def test_an_answer_is_not_held_back_while_it_is_listened_to() -> None:
    gate, arrived = asyncio.Event(), asyncio.Event()
    seen: list[Message] = []
    first = {"type": "http.response.body", "body": b"first", "more_body": True}

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await AsgiEngine()(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send(first)
        await gate.wait()
        await send({"type": "http.response.body", "body": b"last"})

    async def send(message: Message) -> None:
        seen.append(message)
        if message is first:
            arrived.set()

    guard = await started(streaming)
    request = asyncio.create_task(guard(http_scope("POST", "/rerank"), stay_connected, send))
    async with asyncio.timeout(10):
        await arrived.wait()
    gate.set()
    await request
    assert b"last" == seen[2]["body"]


async def test_what_the_server_sends_on_the_receiving_side_reaches_the_engine() -> None:
    got: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await AsgiEngine()(scope, receive, send)
            return
        got.append(await receive())

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    await (await started(app))(http_scope("POST", "/rerank"), gone, ignore)
    assert [{"type": "http.disconnect"}] == got


async def test_other_routes_methods_and_protocols_reach_the_engine(engine: AsgiEngine) -> None:
    guard = await started(engine)
    for method, path in [("GET", "/v1/models"), ("POST", "/ready"), ("GET", "/health"), ("GET", "/ready/x")]:
        await call(guard, method, path)

    await guard({"type": "websocket", "path": "/v1/realtime"}, stay_connected, ignore)
    assert ["/v1/models", "/ready", "/health", "/ready/x", "/v1/realtime"] == [scope["path"] for scope in engine.scopes]


async def test_an_engine_that_fails_a_client_is_no_longer_in_flight(engine: AsgiEngine) -> None:
    guard = await started(engine)
    engine.failure = RuntimeError("boom")
    with pytest.raises(RuntimeError, match="boom"):
        await call(guard, "POST", "/rerank", body=QUESTION)
    assert 0 == guard.drain.in_flight


@pytest.mark.parametrize("variable", ["RERANK_GUARD_EVIDENCE_SECONDS", "RERANK_GUARD_READY_TIMEOUT_SECONDS"])
@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", ""])
async def test_an_unusable_setting_stops_the_server_before_it_listens(
    engine: AsgiEngine, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    (said,) = await start(Guard(engine))
    assert "lifespan.startup.failed" == said["type"]
    assert f"rerank_guard: {variable}={value!r} is not a number of seconds from 0 to 3600" == said["message"]


async def test_a_token_that_cannot_be_written_stops_the_server_before_it_listens(
    engine: AsgiEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "token"
    monkeypatch.setenv("RERANK_GUARD_TOKEN_FILE", str(path))
    (said,) = await start(Guard(engine))
    expected = f"rerank_guard: RERANK_GUARD_TOKEN_FILE={str(path)!r} cannot be written, mount a volume there: "
    assert ("lifespan.startup.failed", expected) == (said["type"], said["message"][: len(expected)])


@pytest.mark.parametrize("name", ["rerank_guard.py", "rerank_probe.py"])
def test_a_file_for_the_pod_needs_only_python_3_9_and_its_standard_library(name: str) -> None:
    text = (Path(rerank_guard.__file__).parent / name).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    imports = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert set() == {module.partition(".")[0] for module in imports} - sys.stdlib_module_names
