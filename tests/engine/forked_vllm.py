"""Start the real vLLM in seconds: a process that has imported it is forked for each start (`tests.engine.forge`).

For tests of starts that fail, and of servers that nobody should be sent to. What is started is vLLM's own command.
"""

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from tests.engine import environment
from tests.engine.forge import kill_group
from tests.engine.server import VllmStartError, free_port

# Generous: test machines are busy.
DEADLINE = 300.0
IMPORTS = (
    "vllm.entrypoints.cli.main",
    "vllm.entrypoints.cli.serve",
    "vllm.entrypoints.openai.api_server",
    "vllm.model_executor.models.bert",
    "vllm.v1.engine.core",
)
VARIABLES = {
    "PATH": os.environ.get("PATH", os.defpath),
    "USER": "vllm",
    "HF_HUB_OFFLINE": "1",
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; without it vLLM wants 92 % of the machine's memory
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # one process less to start; the engine still has its own
    # Two engines that are bound to the same processors wait for each other.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
ARGUMENTS = (
    *("--runner", "pooling", "--dtype", "float32", "--enforce-eager"),
    *("--distributed-executor-backend", "uni", "--host", "127.0.0.1"),
)
ENGINE = "VLLM::EngineCor"  # the kernel cuts names
_ROOT = Path(__file__).resolve().parents[2]
_POLL = 0.1
_LAST_LINES = 40


@dataclass(frozen=True, slots=True)
class Start:
    """What is asked of one start of `vllm serve`.

    `arguments` begin with the model; `variables` are added to the environment, or with None taken out of it.
    `obeys_modes`: even root may read only what the modes of files allow. `groups` are the cgroups to be in. `disks` are
    empty disks, of a size such as 64k, by the folder on which the process sees them.
    """

    arguments: Sequence[str]
    variables: Mapping[str, str | None] = field(default_factory=dict)
    obeys_modes: bool = False
    groups: Sequence[Path] = ()
    disks: Mapping[Path, str] = field(default_factory=dict)


class ForkedVllm:
    """One start of vLLM: its process, which leads a group of its own, its address and what it has written."""

    def __init__(self, forge: "Forge", pid: int, port: int, log: Path) -> None:
        self.pid = pid
        self.url = f"http://127.0.0.1:{port}"
        self._forge = forge
        self._log = log

    def log(self) -> str:
        """Return what it has written so far, standard output and error."""
        return self._log.read_text(errors="replace")

    def status(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it runs."""
        return self._forge.status(self.pid, 0)

    def wait(self, seconds: float = DEADLINE) -> int:
        """Wait for its end and return the exit status. Raises VllmStartError when it does not end in time."""
        status = self._forge.status(self.pid, seconds)
        if status is None:
            raise VllmStartError(f"vLLM still runs after {seconds:.0f} s:\n{self._last_lines()}")
        return status

    def wait_until_healthy(self, seconds: float = DEADLINE) -> Self:
        """Wait until /health is 200. Raises VllmStartError when it ends before, or not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (status := self.status()) is not None:
                raise VllmStartError(f"vLLM ended with {status}:\n{self._last_lines()}")
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == httpx.codes.OK:
                    return self
            time.sleep(_POLL)
        raise VllmStartError(f"vLLM is not healthy after {seconds:.0f} s:\n{self._last_lines()}")

    def engine(self) -> int:
        """Return the number of the engine's own process. Raises LookupError when there is none."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
                if name.startswith(ENGINE) and int(rest.split()[2]) == self.pid:
                    return int(folder.name)
        raise LookupError(f"no engine among the processes of {self.pid}:\n{self._last_lines()}")

    def kill(self) -> None:
        """End it and all that it started, at once."""
        if self.status() is None:
            kill_group(self.pid)
            self.wait()

    def _last_lines(self) -> str:
        return "\n".join(self.log().splitlines()[-_LAST_LINES:])


class Forge:
    """Starts vLLM as often as one likes from the beginning of a `with` block; at its end nothing of it is left.

    `python`, `command` and `imports` are vLLM's own unless they are given.
    """

    def __init__(
        self, python: Path | None = None, command: Path | None = None, imports: Sequence[str] = IMPORTS
    ) -> None:
        self._python = python or environment.ensure().python
        self._command = command or self._python.with_name("vllm")
        self._imports = imports
        self._folder = Path(tempfile.mkdtemp(prefix="forge-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._replies: list[dict[str, Any]] = []
        self._statuses: dict[int, int] = {}
        self._started = 0

    def __enter__(self) -> Self:
        command = [str(self._python), "-m", "tests.engine.forge", str(self._command), *self._imports]
        variables = {**VARIABLES, "PYTHONPATH": str(_ROOT), "HOME": str(self._folder)}
        pipe = subprocess.PIPE
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=log, env=variables, bufsize=0, start_new_session=True
            )
        try:
            self._reply()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, start: Start) -> ForkedVllm:
        """Begin a start of vLLM and return at once."""
        self._started += 1
        folder = self._folder / str(self._started)
        folder.mkdir()
        log, port = folder / "log", free_port()
        log.touch()
        model, *arguments = start.arguments
        order = {
            "arguments": ["serve", model, *ARGUMENTS, "--port", str(port), *arguments],
            "variables": self._variables(start, folder),
            "obeys_modes": start.obeys_modes,
            "groups": [str(group) for group in start.groups],
            "disks": {str(mounted): size for mounted, size in start.disks.items()},
            "log": str(log),
        }
        os.write(self._pipe("stdin"), json.dumps(order).encode() + b"\n")
        return ForkedVllm(self, self._reply()["pid"], port, log)

    def status(self, pid: int, seconds: float) -> int | None:
        """Return the exit status of a start, or None when it still runs after so many seconds."""
        deadline = time.monotonic() + seconds
        while pid not in self._statuses and self._read(deadline - time.monotonic()):
            pass
        return self._statuses.get(pid)

    def _variables(self, start: Start, folder: Path) -> dict[str, str]:
        own = {"HOME": str(folder), "TMPDIR": str(folder), "HF_HOME": str(folder / "hub")}
        # What vLLM found out about a kind of model is kept for the next start: it saves five seconds of each.
        shared = {"VLLM_CACHE_ROOT": str(self._folder / "cache")}
        wanted = {**VARIABLES, **own, **shared, **start.variables}
        return {name: value for name, value in wanted.items() if value is not None}

    def _reply(self) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE
        while not self._replies:
            if not self._read(deadline - time.monotonic()):
                raise VllmStartError(f"no answer from the forge within {DEADLINE:.0f} s:\n{self._log()}")
        return self._replies.pop(0)

    def _read(self, seconds: float) -> bool:
        """Take note of what the forge says; False when it says nothing for so many seconds."""
        output = self._pipe("stdout")
        if not select.select([output], [], [], max(0.0, seconds))[0]:
            return False
        said = os.read(output, 1 << 16)
        if not said:
            raise VllmStartError(f"the forge has ended:\n{self._log()}")
        *lines, self._unread = (self._unread + said).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if "status" in answer:
                self._statuses[answer["pid"]] = answer["status"]
            else:
                self._replies.append(answer)
        return True

    def _pipe(self, name: Literal["stdin", "stdout"]) -> int:
        if self._process is None:
            raise RuntimeError("the forge has not been started: use it in a `with` block")
        return int(getattr(self._process, name).fileno())

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")
