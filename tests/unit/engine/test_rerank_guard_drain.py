"""Draining: who may, what clients get meanwhile, and the preStop hook that asks for it."""

from __future__ import annotations

import asyncio
import http.server
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from rerank_operator.engine import rerank_guard
from rerank_operator.engine.rerank_guard import Guard
from tests.doubles.asgi import AsgiEngine, Response, call

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
QUESTION = {"query": "capital of France", "documents": ["Paris", "Rome"]}
GUARD_FILE = Path(rerank_guard.__file__)


class Pod(NamedTuple):
    """A started guard, the engine behind it, and the file with its token."""

    guard: Guard
    engine: AsgiEngine
    token_file: Path

    async def drain(self, query: str = "lame=0&timeout=10", method: str = "POST") -> Response:
        headers = [("authorization", f"Bearer {self.token_file.read_text()}")]
        return await call(self.guard, method, "/drain", query=query, headers=headers)

    async def rerank(self) -> Response:
        return await call(self.guard, "POST", "/rerank", body=QUESTION)

    def reranking(self) -> asyncio.Task[Response]:
        return asyncio.create_task(self.rerank())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pod:
    monkeypatch.setenv("RERANK_GUARD_TOKEN_FILE", str(tmp_path / "token"))
    return await started(tmp_path)


async def started(folder: Path) -> Pod:
    engine = AsgiEngine()
    guard = Guard(engine)
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(_message: dict[str, Any]) -> None: ...

    await guard({"type": "lifespan"}, receive, send)
    return Pod(guard, engine, folder / "token")


async def reached(condition: Any) -> None:
    """Wait until the condition holds, ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the guard offers nothing to wait on
            await asyncio.sleep(0)


def test_the_token_file_is_for_its_owner_only_and_new_at_each_start(tmp_path: Path) -> None:
    path = tmp_path / "token"
    tokens = [rerank_guard.write_token(str(path)) for _ in range(2)]
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert tokens[0] != tokens[1] == path.read_text()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x"])
async def test_whoever_lacks_the_token_gets_404_even_from_loopback(pod: Pod, header: str | None) -> None:
    token = pod.token_file.read_text()
    headers = [("authorization", header.format(token=token))] if header else []
    answer = await call(pod.guard, "POST", "/drain", query="lame=0&timeout=0", headers=headers)
    assert (404, {"detail": "Not Found"}) == (answer.status, answer.json)
    assert not pod.guard.drain.lame


async def test_a_drain_by_get_is_404(pod: Pod) -> None:
    assert 404 == (await pod.drain(method="GET")).status
    assert not pod.guard.drain.lame


async def test_without_a_token_file_nobody_can_drain() -> None:
    guard = Guard(AsgiEngine())
    for header in ("Bearer ", "Bearer None"):
        answer = await call(guard, "POST", "/drain", headers=[("authorization", header)])
        assert 404 == answer.status


async def test_the_bearer_scheme_is_written_in_any_case(pod: Pod) -> None:
    headers = [("authorization", f"bEARER  {pod.token_file.read_text()} ")]
    assert 200 == (await call(pod.guard, "POST", "/drain", query="lame=0", headers=headers)).status


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("lame=soon", "lame='soon' is not a number of seconds from 0 to 3600"),
        ("lame=", "lame='' is not a number of seconds from 0 to 3600"),
        ("lame=-1", "lame='-1' is not a number of seconds from 0 to 3600"),
        ("timeout=nan", "timeout='nan' is not a number of seconds from 0 to 3600"),
        ("timeout=3601", "timeout='3601' is not a number of seconds from 0 to 3600"),
        ("wait=1", "unknown argument 'wait', use lame and timeout"),
    ],
)
async def test_a_bad_argument_is_400_and_drains_nothing(pod: Pod, query: str, message: str) -> None:
    answer = await pod.drain(query)
    assert {"message": message, "type": "Bad Request", "param": None, "code": 400} == answer.json["error"]
    assert not pod.guard.drain.lame


async def test_an_idle_engine_is_drained_at_once(pod: Pod) -> None:
    answer = await pod.drain()
    assert (200, {"in_flight": 0}) == (answer.status, answer.json)


async def test_before_a_drain_connections_stay_open(pod: Pod) -> None:
    assert "connection" not in (await pod.rerank()).headers


async def test_in_the_lame_phase_answers_are_right_and_close_their_connection(pod: Pod) -> None:
    draining = asyncio.create_task(pod.drain("lame=3600"))
    await reached(lambda: pod.guard.drain.lame)
    answer = await pod.rerank()
    assert (200, "close") == (answer.status, answer.headers["connection"])
    assert {0, 1} == {result["index"] for result in answer.json["results"]}
    draining.cancel()


async def test_a_request_that_came_before_the_lame_phase_closes_its_connection_too(pod: Pod) -> None:
    pod.engine.hold()
    request = pod.reranking()
    await pod.engine.arrived.wait()
    draining = asyncio.create_task(pod.drain("lame=3600"))
    await reached(lambda: pod.guard.drain.lame)
    pod.engine.release()
    assert "close" == (await request).headers["connection"]
    draining.cancel()


async def test_a_pod_that_drains_answers_requests_in_flight_and_refuses_new_ones(pod: Pod) -> None:
    pod.engine.hold()
    request = pod.reranking()
    await pod.engine.arrived.wait()
    draining = asyncio.create_task(pod.drain())
    await reached(lambda: pod.guard.drain.refusing)
    refused = await pod.rerank()
    assert (503, "close", "1") == (
        refused.status,
        refused.headers["connection"],
        refused.headers["retry-after"],
    )
    assert "Service Unavailable" == refused.json["error"]["type"]
    assert not draining.done()
    pod.engine.release()
    assert (200, 2) == ((await request).status, len((await request).json["results"]))
    assert {"in_flight": 0} == (await draining).json


async def test_a_pod_that_drains_is_not_ready_but_alive(pod: Pod) -> None:
    await pod.rerank()
    await pod.drain()
    answer = await call(pod.guard, "GET", "/ready")
    assert (503, "draining") == (answer.status, answer.json["error"]["message"])
    assert [200, 200] == [(await call(pod.guard, "GET", path)).status for path in ("/health", "/metrics")]


async def test_a_drain_gives_up_when_its_time_is_over(pod: Pod) -> None:
    pod.engine.hold()
    request = pod.reranking()
    await pod.engine.arrived.wait()
    answer = await pod.drain("lame=0&timeout=0")
    assert 504 == answer.status
    assert "1 requests still in flight 0 s after the lame phase" == answer.json["error"]["message"]
    pod.engine.release()
    assert 200 == (await request).status


async def test_two_drains_at_once_both_end(pod: Pod) -> None:
    answers = await asyncio.gather(pod.drain(), pod.drain())
    assert [200, 200] == [answer.status for answer in answers]


class Hook(NamedTuple):
    """How the preStop hook ended."""

    status: int
    said: str


def run_hook(*options: str, grace: float = 3) -> Hook:
    """Run the hook alone with its file, as the kubelet does; ``grace`` is how long it outwaits the guard."""
    script = (
        f"import runpy, sys; sys.argv = ['rerank_guard.py', 'drain', *{list(options)!r}];"
        f"guard = runpy.run_path({str(GUARD_FILE)!r});"
        f"guard['main'].__globals__['CLIENT_GRACE_SECONDS'] = {grace};"
        "sys.exit(guard['main'](sys.argv[1:]))"
    )
    command = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "" == done.stderr
    return Hook(done.returncode, done.stdout)


class Listener(http.server.ThreadingHTTPServer):
    """An engine that answers every drain alike, or never."""

    def __init__(self, status: int | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = status
        self.asked: list[tuple[str, str | None]] = []
        self.ended = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.headers["authorization"]))
        if self.server.status is None:
            self.server.ended.wait()
            return
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b'{"in_flight": 0}')

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def listening(status: int | None) -> Iterator[Listener]:
    with Listener(status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("a-secret-token")
    return path


def test_the_hook_asks_the_guard_with_its_token_and_succeeds(token: Path) -> None:
    with listening(200) as server:
        port = str(server.server_port)
        hook = run_hook("--lame", "1.5", "--timeout", "7", "--port", port, "--token-file", str(token))
        assert [("/drain?lame=1.5&timeout=7.0", "Bearer a-secret-token")] == server.asked
    assert (0, "drained after ", '{"in_flight": 0}\n') == (hook.status, hook.said[:14], hook.said[-17:])


def test_the_hook_fails_when_the_guard_did_not_drain(token: Path) -> None:
    with listening(504) as server:
        hook = run_hook("--port", str(server.server_port), "--token-file", str(token))
    assert (1, "not drained, the engine answered 504 after ") == (hook.status, hook.said[:43])


def test_the_hook_succeeds_at_once_when_nothing_listens() -> None:
    with listening(200) as server:
        port = str(server.server_port)
    hook = run_hook("--port", port)
    assert Hook(0, f"nothing listens on port {port}, there is nothing to drain\n") == hook


def test_the_hook_gives_up_on_an_engine_that_never_answers(token: Path) -> None:
    with listening(None) as server:
        options = (
            "--lame",
            "0",
            "--timeout",
            "0",
            "--port",
            str(server.server_port),
            "--token-file",
            str(token),
        )
        hook = run_hook(*options, grace=0.2)
    assert Hook(1, "not drained: no answer within 0.2 s\n") == hook


def test_the_hook_says_which_token_file_it_misses(tmp_path: Path) -> None:
    with listening(200) as server:
        port = str(server.server_port)
        unset = run_hook("--port", port)
        missing = run_hook("--port", port, "--token-file", str(tmp_path / "token"))
    remedy = "not drained: set --token-file or RERANK_GUARD_TOKEN_FILE to the file the guard wrote\n"
    assert Hook(1, remedy) == unset
    assert 1 == missing.status
    assert str(tmp_path / "token") in missing.said


def test_the_hook_refuses_a_bad_number() -> None:
    command = [sys.executable, "-I", "-S", str(GUARD_FILE), "drain", "--lame", "soon"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 2 == done.returncode
    assert "--lame='soon' is not a number of seconds from 0 to 3600" in done.stderr
