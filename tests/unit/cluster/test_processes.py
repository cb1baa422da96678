import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.errors import StartError
from tests.cluster.processes import Child, ProcessId, tail, wait_until

_DIE_WITHOUT_CLEANING_UP = """
import os, sys
from pathlib import Path
from tests.cluster.processes import Child, wait_until
pid = Child("sleeper", ["sleep", "60"], Path(sys.argv[1])).pid
# Only then has the child told the kernel that it wants to go with its owner.
wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\\n", "the child runs its program", seconds=10)
print(pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_child_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _DIE_WITHOUT_CLEANING_UP, str(tmp_path / "log")]
    owner = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    child = ProcessId.of(int(owner.stdout))
    assert -signal.SIGKILL == owner.returncode
    wait_until(lambda: not child.is_running(), "the child has ended", seconds=10)


def test_a_suspended_child_can_be_stopped(tmp_path: Path) -> None:
    child = Child("sleeper", ["sleep", "60"], tmp_path / "log")
    child.send(signal.SIGSTOP)
    child.stop()
    assert not child.is_running()


def test_waiting_for_a_server_that_ended_shows_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child("server", ["sh", "-c", "echo port is taken; exit 3"], tmp_path / "log")
    with pytest.raises(StartError, match=r"server ended before it answers; its log ends:\nport is taken"):
        wait_until(lambda: False, "it answers", seconds=10, needed=[child])


def test_waiting_for_a_slow_server_names_what_did_not_come(tmp_path: Path) -> None:
    child = Child("server", ["sleep", "60"], tmp_path / "log")
    with pytest.raises(StartError, match=r"not reached within 0\.1 s: it answers"):
        wait_until(lambda: False, "it answers", seconds=0.1, needed=[child])
    child.kill()


def test_a_process_is_not_mistaken_for_a_later_one_with_its_number() -> None:
    now = ProcessId.of(os.getpid())
    assert now.is_running()
    assert not ProcessId(pid=now.pid, started="another boot/1").is_running()


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\nthree\n")
    assert tail(log, lines=2) == "two\nthree"
    assert tail(tmp_path / "none") == f"(no log at {tmp_path / 'none'})"
