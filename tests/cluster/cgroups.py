"""The control groups under which the kubelet puts its pods, in every hierarchy that this machine has."""

import os
import time
from pathlib import Path

CGROUP = "rerank-operator-node"
_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
_REMOVE_SECONDS = 10.0


def hierarchies() -> list[Path]:
    """Return the root of each hierarchy: one with cgroup v2, one for each controller with v1."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    return [folder for folder in sorted(_ROOT.iterdir()) if folder.is_dir() and not folder.is_symlink()]


def create() -> None:
    """Create the node's group in every hierarchy."""
    for hierarchy in hierarchies():
        group = hierarchy / CGROUP
        group.mkdir(exist_ok=True)
        if (hierarchy / "cpuset.cpus").exists():
            # A new v1 group may use no processor and no memory node until told which.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                (group / setting).write_text((hierarchy / setting).read_text())
        if (hierarchy / "cgroup.controllers").exists():
            available = (hierarchy / "cgroup.controllers").read_text().split()
            enabled = " ".join(f"+{name}" for name in _CONTROLLERS if name in available)
            (hierarchy / "cgroup.subtree_control").write_text(enabled)


def remove() -> None:
    """Remove the groups; the kernel may need a moment to let go of them after the last process."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while groups := _groups():
        for group in sorted(groups, key=lambda path: len(path.parts), reverse=True):
            try:
                group.rmdir()
            except OSError:
                continue
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def leftovers() -> list[str]:
    """Return what is still there of the groups, in words."""
    return [f"control group {hierarchy / CGROUP}" for hierarchy in hierarchies() if (hierarchy / CGROUP).exists()]


def _groups() -> list[Path]:
    roots = [hierarchy / CGROUP for hierarchy in hierarchies()]
    return [Path(folder) for root in roots for folder, _, _ in os.walk(root)]
