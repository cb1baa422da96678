"""The child process that checks a Milvus: what becomes of one that crashes, talks nonsense, or never ends."""

import asyncio
import contextlib
import dataclasses
import sys
import time
from pathlib import Path

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
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(sys.argv[1]).write_text('SIGTERM came'))
pathlib.Path(sys.argv[1]).write_text('ready')
while True: time.sleep(60)
"""


def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where the operator itself ends, and cancels the check."""
    note = tmp_path / "note"
    monkeypatch.setattr(milvus, "_COMMAND", (sys.executable, "-I", "-c", STUBBORN, str(note)))

    async def cancel() -> None:
        task = asyncio.create_task(MilvusClient().check(dataclasses.replace(REQUEST, timeout=60.0)))
        async with asyncio.timeout(30):
            while not is_written(note):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    begun = time.monotonic()
    asyncio.run(cancel())
    assert "SIGTERM came" == note.read_text()
    assert time.monotonic() - begun < 30
    assert [] == commands_with(str(note))


def is_written(path: Path) -> bool:
    return path.exists() and path.read_text() == "ready"


def commands_with(argument: str) -> list[str]:
    """Process ids of processes that have this argument."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if argument.encode() in line.read_bytes():
                found.append(line.parent.name)
    return found
