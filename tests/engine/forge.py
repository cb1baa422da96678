"""Start a command of Python many times and import its modules once: `python -m tests.engine.forge COMMAND MODULE...`.

Nearly all of a start of vLLM is imports. So this process makes them, and forks itself for each start; the child goes
on in the command's own script as if it had been typed, and ends as that does. Run by the Python of the command.

Orders come as lines of JSON on standard input. Each is answered by a line {"pid": ...} on standard output, and when
that start has ended, by {"pid": ..., "status": ...}. What a start leaves behind is killed when it ends, and all
starts when standard input is closed, whoever closed it.
"""

import contextlib
import ctypes
import importlib
import json
import os
import runpy
import select
import signal
import sys
from pathlib import Path
from typing import Any

INPUT, OUTPUT, ERRORS = 0, 1, 2

_LIBC = ctypes.CDLL(None, use_errno=True)
# From linux/prctl.h, linux/capability.h, linux/sched.h and linux/mount.h.
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CLONE_NEWNS = 0x20000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000


class Starts:
    """The starts that have not ended, and the line to whoever orders them."""

    def __init__(self) -> None:
        # What is imported may print: the orderer reads answers only.
        self._answers = os.dup(OUTPUT)
        os.dup2(ERRORS, OUTPUT)
        self._running: set[int] = set()
        self._ended, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def obey(self) -> None:
        """Carry out orders until there are no more. Returns only in a child, which is to become the command."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake)
        self._say({"ready": True})
        while True:
            readable, _, _ = select.select([INPUT, self._ended], [], [])
            if self._ended in readable:
                os.read(self._ended, 4096)
                self._tell_who_ended()
            if INPUT in readable:
                order = sys.stdin.buffer.raw.readline()  # type: ignore[union-attr] # a pipe is read through a FileIO
                if not order:
                    break
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    become(json.loads(order))
                    return
                self._running.add(pid)
                self._say({"pid": pid})
        for pid in self._running:
            kill_group(pid)
        os._exit(0)

    def _tell_who_ended(self) -> None:
        for pid in sorted(self._running):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                kill_group(pid)
                _, status = os.waitpid(pid, 0)
                self._running.discard(pid)
                self._say({"pid": pid, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, answer: dict[str, Any]) -> None:
        os.write(self._answers, json.dumps(answer).encode() + b"\n")


def kill_group(leader: int) -> None:
    """Kill a process and all that it started; nothing if there is none."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def become(order: dict[str, Any]) -> None:
    """Make this process what the order wants: its group, limits, files, environment and command line."""
    os.setsid()
    _call(_LIBC.prctl, _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for group in order["groups"]:
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    if order["disks"]:
        mount(order["disks"])
    if order["obeys_modes"] and os.geteuid() == 0:
        obey_modes()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), INPUT)
    os.dup2(log, OUTPUT)
    os.dup2(log, ERRORS)
    os.environ.clear()
    os.environ.update(order["variables"])
    sys.path[1:1] = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path]
    if "huggingface_hub" in sys.modules:
        read_hub_settings_again()
    sys.argv = [sys.argv[1], *order["arguments"]]


def mount(disks: dict[str, str]) -> None:
    """Mount an empty disk of a size such as 64k on each folder, where only this process and its children see it."""
    _call(_LIBC.unshare, _CLONE_NEWNS)
    _call(_LIBC.mount, b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    for folder, size in disks.items():
        _call(_LIBC.mount, b"tmpfs", folder.encode(), b"tmpfs", 0, f"size={size}".encode())


def obey_modes() -> None:
    """Give up root's right to read what it may not, for this process and all that it starts."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable: first of 32 capabilities, then of the rest
    _call(_LIBC.capget, header, sets)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        _call(_LIBC.prctl, _PR_CAPBSET_DROP, capability, 0, 0, 0)
        for kind in range(3):
            sets[kind] &= ~(1 << capability)
    _call(_LIBC.capset, header, sets)


def read_hub_settings_again() -> None:
    """Let the hub's client take its settings from the environment, as it does when it is imported."""
    importlib.reload(importlib.import_module("huggingface_hub.constants"))
    module = importlib.import_module("huggingface_hub.hf_api")
    module.api.endpoint = module.constants.ENDPOINT


def _call(function: Any, *arguments: Any) -> None:
    if function(*arguments) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{function.__name__}: {os.strerror(error)}")


if __name__ == "__main__":
    starts = Starts()
    for name in sys.argv[2:]:
        importlib.import_module(name)
    starts.obey()
    runpy.run_path(sys.argv[0], run_name="__main__")
