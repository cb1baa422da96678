"""The life of the engine's process, without the engine: what is started must end, whatever happens."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.server import VllmServer, free_port

ROOT = Path(__file__).resolve().parents[3]
OWNER = """
import subprocess, time
from tests.engine.server import start_watchdog
engine = subprocess.Popen(["sleep", "600"], start_new_session=True)
start_watchdog(engine.pid)
print(engine.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def owner() -> Iterator["subprocess.Popen[str]"]:
    """A process that has started a stand-in for the engine and its watchdog."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OWNER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        yield process
        process.kill()


def exists(pid: int) -> bool:
    with contextlib.suppress(OSError):
        # A dead process stays in the table until its new parent has taken note.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_the_engine_ends_when_its_owner_is_killed(owner: "subprocess.Popen[str]") -> None:
    assert owner.stdout is not None
    engine = int(owner.stdout.readline())
    assert exists(engine)
    owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while exists(engine) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not exists(engine)


def test_a_server_that_was_not_started_says_how_to_start_it() -> None:
    server = VllmServer(Path("model"))
    with pytest.raises(RuntimeError, match="use it in a `with` block"):
        server.log()


def test_a_server_that_was_not_started_can_be_stopped() -> None:
    VllmServer(Path("model")).stop()


def test_a_server_has_an_address_on_loopback_before_it_starts() -> None:
    server = VllmServer(Path("model"))
    assert f"http://127.0.0.1:{server.port}" == server.url


def test_a_free_port_is_one_that_a_person_may_use() -> None:
    assert free_port() > 1023
