"""A Milvus, checked in a child process: pymilvus costs 93 MiB, and blocks the process that calls it.

The request, which holds token and key, goes in on the standard input: arguments and environment of a process can be
read by others. The child keeps its own time, and drops what it made when it is ended with SIGTERM.
"""

import asyncio
import contextlib
import os
import signal
import sys
from typing import Final

from rerank_operator.clients.errors import ClientError
from rerank_operator.milvus.trial import MOST_CHARACTERS, MilvusAnswer, MilvusRequest

# To start Python and to import pymilvus, where every processor is busy.
START_SECONDS: Final = 30.0
# To drop a collection after SIGTERM.
END_SECONDS: Final = 5.0
MOST_BYTES: Final = 1 << 16
_COMMAND: Final = (sys.executable, "-P", "-m", "rerank_operator.clients.milvus_session")
# Nothing else is of use there: no proxies, no addresses, no keys for other servers.
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "GRPC_DNS_RESOLVER")


class MilvusSessionFailed(ClientError):  # noqa: N818 - reads as what happened
    """The child process gave no answer: it crashed, was killed, or said something else. The text tells."""


class MilvusSessionTooSlow(MilvusSessionFailed):
    """The child process did not end within its time."""


class MilvusClient:
    """Checks Milvus servers, each time in a process of its own."""

    async def check(self, request: MilvusRequest) -> MilvusAnswer:
        """What one check saw; raises MilvusSessionFailed where the process itself failed.

        A check that is cancelled, or takes too long, has a few seconds to drop its collection.
        """
        process = await _start()
        reading = asyncio.gather(_read(process.stdout), _read(process.stderr))
        try:
            async with asyncio.timeout(request.timeout + START_SECONDS):
                await _write(process.stdin, request.to_json().encode())
                await process.wait()
        except TimeoutError:
            raise MilvusSessionTooSlow(f"the check did not end within {request.timeout + START_SECONDS:g} s") from None
        finally:
            await _end(process)
            output, complaint = await reading
        return _answer(request, process.returncode, output, complaint)


async def _start() -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            start_new_session=True,
        )
    except OSError as error:
        raise MilvusSessionFailed(f"the check cannot be started: {error.strerror or error}") from error


def _answer(request: MilvusRequest, code: int | None, output: bytes, complaint: bytes) -> MilvusAnswer:
    try:
        if code == 0:
            return MilvusAnswer.from_json(output.decode())
        what = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    except (ValueError, KeyError, TypeError, RecursionError):
        what = "an answer that cannot be read"
    last = request.without_secrets(complaint.decode("utf-8", "replace")).strip().splitlines()[-1:]
    text = ": ".join([f"the check ended with {what}", *last])
    raise MilvusSessionFailed(text[:MOST_CHARACTERS])


async def _write(stream: asyncio.StreamWriter | None, data: bytes) -> None:
    """Hand everything in; a process that is gone already tells with its exit code."""
    if stream is not None:
        with contextlib.suppress(ConnectionError):
            stream.write(data)
            await stream.drain()
        stream.close()


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    """The first part of what a process says, while the rest is thrown away, so that it never waits for a reader."""
    kept = b""
    while stream is not None and (chunk := await stream.read(MOST_BYTES)):
        kept += chunk[: MOST_BYTES - len(kept)]
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what still runs: SIGTERM first, so that the collection is dropped."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
        finally:
            if process.returncode is None:
                _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to the process and its children: it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
