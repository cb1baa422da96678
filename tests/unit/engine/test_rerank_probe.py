"""The exec probe for pods without the guard, run as the kubelet runs it, against an engine double."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest

from rerank_operator.engine import rerank_probe
from tests.doubles.engine import EngineDouble

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = "; usage: rerank_probe.py [--port PORT] [--timeout SECONDS]"


class Outcome(NamedTuple):
    """How the probe ended, and the line that it said."""

    status: int
    said: str


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineDouble]:
    with EngineDouble() as engine:
        yield engine


def probe(*options: object) -> Outcome:
    command = [sys.executable, "-I", "-S", rerank_probe.__file__, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "" == done.stderr
    return Outcome(done.returncode, done.stdout)


def test_a_right_engine_passes_in_silence(engine: EngineDouble) -> None:
    engine.mode = "right"
    assert Outcome(0, "") == probe("--port", engine.port)
    assert "/rerank" == engine.requests[-1].path
    assert {"query", "documents"} == set(engine.requests[-1].body)


@pytest.mark.parametrize("mode", ["constant-scores", "wrong-order", "overlong-rejected", "slow:0.1"])
def test_what_the_probe_cannot_know_passes(engine: EngineDouble, mode: str) -> None:
    engine.mode = mode
    assert Outcome(0, "") == probe("--port", engine.port, "--timeout", 30)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("missing-result", "/rerank answered the indexes [1, 0] for 3 documents\n"),
        ("extra-result", "/rerank answered the indexes [1, 0, 2, 3] for 3 documents\n"),
        ("duplicate-index", "/rerank answered the indexes [1, 0, 1] for 3 documents\n"),
        ("nan-score", "/rerank answered a score that is not a finite number: [nan, "),
        ("null-score", "/rerank answered a score that is not a finite number: [None, "),
        ("string-score", "/rerank answered a score that is not a finite number: ['0.5', "),
        ("no-rerank-route", '/rerank answered \'HTTP/1.1 404 Not Found\': {"detail":"Not Found"}\n'),
        ("wrong-model", "/rerank answered 'HTTP/1.1 404 Not Found': {\"error\":"),
        ("unauthorized", '/rerank answered \'HTTP/1.1 401 Unauthorized\': {"error":"Unauthorized"}\n'),
        ("engine-dead", "/rerank answered 'HTTP/1.1 500 Internal Server Error': {\"error\":"),
        ("busy", "/rerank answered 'HTTP/1.1 503 Service Unavailable': {\"error\":"),
    ],
)
def test_a_wrong_answer_fails_with_one_line_that_says_why(engine: EngineDouble, mode: str, reason: str) -> None:
    engine.mode = mode
    outcome = probe("--port", engine.port)
    assert (1, reason) == (outcome.status, outcome.said[: len(reason)])
    assert 1 == outcome.said.count("\n")


def test_an_engine_that_hangs_fails_when_the_time_is_over(engine: EngineDouble) -> None:
    engine.mode = "hang"
    expected = f"no answer on port {engine.port} within 0.2 s: timed out\n"
    assert Outcome(1, expected) == probe("--port", engine.port, "--timeout", "0.2")


def test_an_answer_that_trickles_fails_when_the_time_is_over() -> None:
    ended = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.02):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle)
        thread.start()
        outcome = probe("--port", listener.getsockname()[1], "--timeout", "0.3")
        ended.set()
        thread.join()
    assert (1, "within 0.3 s: timed out\n") == (outcome.status, outcome.said[-24:])


def test_a_port_where_nobody_listens_fails(engine: EngineDouble) -> None:
    engine.mode = "connection-refused"
    outcome = probe("--port", engine.port)
    assert (1, "[Errno 111] Connection refused\n") == (outcome.status, outcome.said[-31:])


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"results": 1}', b'{"results": [{}]}'])
def test_an_answer_of_another_shape_fails(body: bytes) -> None:
    fault = rerank_probe.fault(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n" + body)
    assert f"/rerank answered something else than rerank results: {body.decode()}" == fault


def test_no_answer_at_all_fails() -> None:
    assert "/rerank answered '': " == rerank_probe.fault(b"")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prot", 8000), "unexpected '--prot'"),
        (("--port",), "unexpected '--port'"),
        (("--port", "http"), "--port='http' is not a number from 1 to 65535"),
        (("--port", 0), "--port='0' is not a number from 1 to 65535"),
        (("--timeout", "nan"), "--timeout='nan' is not a number from 0.001 to 3600"),
    ],
)
def test_bad_usage_is_refused(options: tuple[object, ...], message: str) -> None:
    assert Outcome(2, f"{message}{USAGE}\n") == probe(*options)
