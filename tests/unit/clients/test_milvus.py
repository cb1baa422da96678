"""The child process that checks a Milvus: what becomes of one that crashes, talks nonsense, or never ends."""

import asyncio
import os
import signal
import sys
import time

import pytest

from rerank_operator.clients import milvus
from rerank_operator.clients.milvus import MilvusClient, MilvusSessionFailed, MilvusSessionTooSlow
from rerank_operator.milvus.trial import MilvusAnswer, MilvusRequest, Stage

TOKEN = "root:a-long-password"  # noqa: S105
REQUEST = MilvusRequest(
    uri="http://127.0.0.1:1",
    function={"name": "bge", "input_field_names": ["text"], "params": {}},
    lite_params={},
    query="?",
    documents=("a", "b"),
    best=0,
    id="0a1b2c3d",
    now=1790000000.0,
    timeout=0.3,
    token=TOKEN,
)
ANSWER = MilvusAnswer(Stage.DONE, "2.6.6")


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus, "END_SECONDS", 0.5)


def checked(monkeypatch: pytest.MonkeyPatch, program: str) -> MilvusAnswer:
    """What the client makes of a child that runs this program."""
    monkeypatch.setattr(milvus, "_COMMAND", (sys.executable, "-I", "-c", program))
    return asyncio.run(MilvusClient().check(REQUEST))


def test_the_answer_is_what_the_child_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"import sys; assert 'a-long-password' in sys.stdin.read(); print('{ANSWER.to_json()}')"
    assert ANSWER == checked(monkeypatch, program)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise SystemExit(3)", "the check ended with exit code 3"),
        ("raise ValueError('no such module')", "the check ended with exit code 1: ValueError: no such module"),
        ("import os; os.kill(os.getpid(), 9)", "the check ended with signal 9"),
        ("print('hello')", "the check ended with an answer that cannot be read"),
        ("", "the check ended with an answer that cannot be read"),
        ("print('[' * 10000000)", "the check ended with an answer that cannot be read"),
        ("import sys; sys.exit('bad token ' + 'root:a-long-password')", "exit code 1: bad token \\*\\*\\*$"),
    ],
)
def test_a_child_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, program: str, words: str) -> None:
    with pytest.raises(MilvusSessionFailed, match=words):
        checked(monkeypatch, program)


def test_a_child_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus, "_COMMAND", ("/nowhere/python",))
    with pytest.raises(MilvusSessionFailed, match="cannot be started: No such file or directory"):
        asyncio.run(MilvusClient().check(REQUEST))


def test_a_child_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus, "START_SECONDS", 0.2)
    with pytest.raises(MilvusSessionTooSlow, match=r"did not end within 0\.5 s"):
        checked(monkeypatch, "import time; time.sleep(60)")


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: print('SIGTERM', file=sys.stderr, flush=True))
print(os.getpid(), file=sys.stderr, flush=True)
while True: time.sleep(60)
"""


def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the operator itself ends, and cancels the check."""
    monkeypatch.setattr(milvus, "_COMMAND", (sys.executable, "-I", "-c", STUBBORN))
    started: list[asyncio.subprocess.Process] = []
    sent: list[int] = []
    start, send = milvus._start, os.killpg

    async def remember() -> asyncio.subprocess.Process:
        started.append(await start())
        return started[0]

    def note(pid: int, number: int) -> None:
        sent.append(number)
        send(pid, number)

    monkeypatch.setattr(milvus, "_start", remember)
    monkeypatch.setattr(os, "killpg", note)

    async def cancel() -> None:
        task = asyncio.create_task(MilvusClient().check(REQUEST))
        deadline = time.monotonic() + 30
        while not started and time.monotonic() < deadline:  # noqa: ASYNC110 - another process fulfils it
            await asyncio.sleep(0.01)
        # Wait until it ignores the signal.
        await asyncio.sleep(0)
        pid = started[0].pid
        while not handles_sigterm(pid) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert -signal.SIGKILL == started[0].returncode

    asyncio.run(cancel())
    assert [signal.SIGTERM, signal.SIGKILL] == sent


def handles_sigterm(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM, as the kernel tells it."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & 1 << (signal.SIGTERM - 1))
