"""Start servers, wait until they are ready, and make sure that none outlives its owner."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pydantic import BaseModel

from tests.cluster.errors import ClusterError, StartError

_POLL_SECONDS = 0.02
_STOP_SECONDS = 5.0

# The kernel sends a parent-death signal when the thread that started a child ends, so children are
# started by one thread that lives as long as this process.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


class Server(Protocol):
    """A process whose end or slowness is explained by its log."""

    @property
    def name(self) -> str:
        """Return what a person calls it."""

    @property
    def log(self) -> Path:
        """Return the file with its output."""

    def is_running(self) -> bool:
        """Return whether the process has not ended."""


class ProcessId(BaseModel, frozen=True):
    """A process of this machine, told from later ones with the same number by when it started."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the identity of the process that has this number now."""
        return cls(pid=pid, started=_start_and_state(pid)[0])

    def is_running(self) -> bool:
        """Return whether the process has not ended; one that nobody has waited for has."""
        started, state = _start_and_state(self.pid)
        return started == self.started and state not in "ZX"

    def kill(self) -> None:
        """End the process at once."""
        if self.is_running():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def children(self) -> list["ProcessId"]:
        """Return the processes that this one started."""
        try:
            numbers = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            return []
        return [ProcessId.of(int(number)) for number in numbers]


@dataclass(frozen=True)
class Detached:
    """A server process that outlives this one."""

    name: str
    process: ProcessId
    log: Path

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self.process.is_running()


class Child:
    """A server process that the kernel kills when this process ends, however it ends."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self.log = log
        arguments = ["setpriv", "--pdeathsig", "KILL", "--", *(str(part) for part in command)]
        self._process = _SPAWNER.submit(_spawn, arguments, log).result()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL when that takes too long or it is suspended."""
        if self.is_running():
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()


def _spawn(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def spawn_detached(name: str, command: Sequence[str], log: Path) -> Detached:
    """Start a server that outlives this process, with its output appended to a log file."""
    program = shutil.which(command[0])
    if program is None:
        raise ClusterError(f"{command[0]!r} is not in PATH: run `python -m tests.cluster packages`")
    log.parent.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # Popen would complain that its process was never waited for.
    pid = os.posix_spawn(program, list(command), os.environ, file_actions=actions, setsid=True)
    return Detached(name, ProcessId.of(pid), log)


def _start_and_state(pid: int) -> tuple[str, str]:
    """Return when a process started, in clock ticks since boot and with the boot's id, and its state."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "", "X"
    return f"{boot}/{fields[19]}", fields[0]


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log file, or what says that there is none."""
    if not log.exists():
        return f"(no log at {log})"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    seconds: float,
    needed: Iterable[Server] = (),
) -> None:
    """Poll `condition` until it holds.

    Raises StartError when the deadline passes or one of the `needed` processes ends first.
    """
    needed = list(needed)
    deadline = time.monotonic() + seconds
    while not condition():
        for child in needed:
            if not child.is_running():
                raise StartError(f"{child.name} ended before {what}; its log ends:\n{tail(child.log)}")
        if time.monotonic() > deadline:
            logs = "".join(f"\n{child.name} ({child.log}):\n{tail(child.log)}" for child in needed)
            raise StartError(f"not reached within {seconds:g} s: {what}{logs}")
        time.sleep(_POLL_SECONDS)
