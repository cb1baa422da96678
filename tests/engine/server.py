"""Run the real vLLM, as a process of this machine on a loopback port, for as long as a `with` block lasts."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.engine import environment

# Generous: a start takes half a minute of processor time, and test machines are busy.
READY_DEADLINE = 300.0
_LAST_LINES = 40
_POLL = 0.25
_GRACE = 5.0

_VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; without it vLLM wants 92 % of the machine's memory
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # one process less to start
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_ARGUMENTS = (
    *("--runner", "pooling", "--dtype", "float32", "--enforce-eager"),
    *("--distributed-executor-backend", "uni", "--host", "127.0.0.1"),
)


class VllmStartError(RuntimeError):
    """vLLM ended, or did not become ready in time; the message holds the end of its log."""


class VllmServer:
    """The real vLLM with one model, ready when the `with` block begins and gone when it ends.

    `middleware` is a file that defines an ASGI class called `Guard`; vLLM loads it as its outermost layer.
    `arguments` and `variables` are added to the command line and the environment of the process.
    `seconds_to_ready` is the wall time that the start took.
    """

    def __init__(
        self,
        model: Path,
        *,
        served_name: str = "tiny-reranker",
        middleware: Path | None = None,
        arguments: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        ready_deadline: float = READY_DEADLINE,
    ) -> None:
        self.model = model
        self.served_name = served_name
        self.middleware = middleware.resolve() if middleware else None
        self.port = free_port()
        self.seconds_to_ready = 0.0
        self._arguments = arguments
        self._variables = variables or {}
        self._ready_deadline = ready_deadline
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address without a path, such as http://127.0.0.1:40123."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The API server's process, which also leads the process group of the engine."""
        return self._running().pid

    def log(self) -> str:
        """Return what the server has written so far, standard output and error."""
        return (self._scratch() / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="vllm-"))
        try:
            self._start()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the whole process group, by force after five seconds, and remove the scratch folder."""
        if self._process is not None:
            _end_group(self._process)
        if self._watchdog is not None:
            self._watchdog.communicate()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        python = environment.ensure().python
        serve = (str(python), "-m", "vllm.entrypoints.cli.main", "serve", str(self.model))
        named = ("--served-model-name", self.served_name, "--port", str(self.port))
        guard = ("--middleware", f"{self.middleware.stem}.Guard") if self.middleware else ()
        with (self._scratch() / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*serve, *_ARGUMENTS, *named, *guard, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment_variables(),
                start_new_session=True,
            )
        self._watchdog = start_watchdog(self._process.pid)

    def _environment_variables(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("VLLM_", "PYTHON", "VIRTUAL_ENV"))
        }
        scratch = str(self._scratch())
        own = {"HOME": scratch, "TMPDIR": scratch, "XDG_CACHE_HOME": scratch}
        path = {"PYTHONPATH": str(self.middleware.parent)} if self.middleware else {}
        return {**inherited, **own, **_VARIABLES, **path, **self._variables}

    def _wait_until_ready(self) -> None:
        begin = time.monotonic()
        while (waited := time.monotonic() - begin) < self._ready_deadline:
            status = self._running().poll()
            if status is not None:
                raise VllmStartError(f"vLLM ended with {status} after {waited:.0f} s:\n{self._last_lines()}")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == httpx.codes.OK:
                    self.seconds_to_ready = time.monotonic() - begin
                    return
            time.sleep(_POLL)
        raise VllmStartError(f"vLLM is not ready after {self._ready_deadline:.0f} s:\n{self._last_lines()}")

    def _last_lines(self) -> str:
        return "\n".join(self.log().splitlines()[-_LAST_LINES:])

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("the server has not been started: use it in a `with` block")
        return self._process

    def _scratch(self) -> Path:
        if self._folder is None:
            raise RuntimeError("the server has not been started: use it in a `with` block")
        return self._folder


def free_port() -> int:
    """Ask the kernel for a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_watchdog(group: int) -> "subprocess.Popen[bytes]":
    """Start a process that kills the group when this one is gone, even if it was killed itself.

    It reads a pipe that only this process can write to: the kernel closes it whatever ends this process.
    """
    script = f"cat; kill -s KILL -- -{group}"
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=null, stderr=null, start_new_session=True)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    # vLLM loses a SIGTERM that comes while it loads a model, so force follows after a grace time.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
