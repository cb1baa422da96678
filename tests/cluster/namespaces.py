"""The namespaces in which the node lives, held open by one process: the node's init.

The node has its own processes, network and mounts. Its mounts start as a copy of the host's, so every path
means the same inside and outside, except the folders that are covered below. When the init ends, the kernel
ends every process of the node and drops its mounts and links.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.binaries import binary
from tests.cluster.errors import ClusterError
from tests.cluster.processes import ProcessId, spawn_detached, wait_until

# The last two arguments of the init: what it is, and whose state folder it belongs to.
MARKER = "rerank-operator-node"
_SECONDS = 15.0
# Kernel settings that the kubelet insists on. It sees these; the machine's own stay as they are.
_KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
}
# Folders that programs of a node use whatever their settings say; the node's own cover the host's.
_COVERED_WITH_MEMORY = (Path("/run"), Path("/var/lib/cni"))
_COVERED_WITH_STATE = {Path("/var/lib/kubelet"): "kubelet", Path("/var/log"): "logs/system"}
_MOUNT_POINTS = (Path("/var/lib/cni"), Path("/var/lib/kubelet"))


def holders() -> dict[int, str]:
    """Return the processes that hold a node's namespaces open, with the state folder of each."""
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if arguments[-3:-2] == [MARKER]:
                found[int(entry.name)] = arguments[-2]
    return found


def init_pid(state: Path) -> int | None:
    """Return the process id of the init of the node with this state folder, or None when none runs."""
    mine = (pid for pid, folder in holders().items() if folder == str(state))
    return next((pid for pid in mine if _is_init(pid)), None)


def check_no_other_node_runs(state: Path) -> None:
    """Raise ClusterError when a node runs that belongs to another state folder.

    Links, routes and control groups have the same names for every node, so one must not touch another's.
    """
    for folder in holders().values():
        if folder != str(state):
            raise ClusterError(
                f"a test cluster of another cache already runs on this machine (state in {folder}): take it "
                f"down with RERANK_OPERATOR_CACHE={Path(folder).parent} python -m tests.cluster down"
            )


def start_init(state: Path) -> int:
    """Create the namespaces and return the process id of their init."""
    init = [str(binary("pause")), MARKER, str(state)]
    # Mounts that the host makes later appear in the node too, so the node never keeps a device busy.
    mounts = ["--mount", "--propagation", "slave", "--mount-proc"]
    others = ["--net", "--pid", "--fork", "--kill-child"]
    command = ["unshare", *mounts, *others, "--", *init]
    holder = spawn_detached("init", command, state / "logs" / "init.log")
    what = "the node's namespaces are made"
    wait_until(lambda: init_pid(state) is not None, what, seconds=_SECONDS, needed=[holder])
    return init_pid(state) or 0


def enter_command(pid: int, command: Sequence[str | Path]) -> list[str]:
    """Return the command that runs `command` inside the node."""
    return ["nsenter", "--target", str(pid), "--mount", "--net", "--pid", "--", *map(str, command)]


def run_inside(pid: int, command: Sequence[str | Path]) -> str:
    """Run a command inside the node and return what it prints.

    Raises ClusterError with its error output.
    """
    done = subprocess.run(enter_command(pid, command), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = " ".join(map(str, command))
        raise ClusterError(f"`{words}` failed inside the node: {done.stderr.strip()}")
    return done.stdout


def cover_folders(pid: int, state: Path) -> None:
    """Mount the node's own folders and kernel settings over the host's, inside the node only."""
    commands = [["mount", "--make-rshared", "/"]]
    commands += [["mount", "-t", "tmpfs", "tmpfs", str(folder)] for folder in _COVERED_WITH_MEMORY]
    for folder, name in _COVERED_WITH_STATE.items():
        (state / name).mkdir(parents=True, exist_ok=True)
        commands.append(["mount", "--bind", str(state / name), str(folder)])
    for setting, value in _KERNEL_SETTINGS.items():
        file = state / "kernel" / setting
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
        commands.append(["mount", "--bind", str(file), f"/proc/sys/{setting}"])
    for command in commands:
        run_inside(pid, command)


def create_mount_points() -> None:
    """Create the folders of the host that are only there to be covered."""
    for folder in _MOUNT_POINTS:
        folder.mkdir(parents=True, exist_ok=True)


def remove_mount_points() -> None:
    """Remove the mount points unless something of the host is in them."""
    for folder in _MOUNT_POINTS:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def end(state: Path) -> None:
    """End the node: kill its init and wait until the kernel has ended everything else in it."""
    mine = [ProcessId.of(pid) for pid, folder in holders().items() if folder == str(state)]
    for process in mine:
        process.kill()
    deadline = time.monotonic() + _SECONDS
    while any(process.is_running() for process in mine) and time.monotonic() < deadline:
        time.sleep(0.02)


def leftovers(state: Path) -> list[str]:
    """Return what is still there of the namespaces, in words."""
    found = [f"process {pid}, the node's init" for pid, folder in holders().items() if folder == str(state)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in mounts]
    return found + [f"mount at {point}" for point in points if point.startswith(f"{state}/")]


def _is_init(pid: int) -> bool:
    """Return whether a process is the first of its process namespace."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    line = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
    return line.split()[-1] == "1" and len(line.split()) > 2
