"""A control group with little memory: the kernel kills what outgrows it, as it does in a container."""

import os
import time
from typing import Self

from tests.cluster import cgroups

_REMOVE_SECONDS = 10.0
_POLL = 0.05


class MemoryLimit:
    """The group of a `with` block, for processes that write themselves into `folder`; they must end before it does.

    Needs root, as the node of the tests does.
    """

    def __init__(self, size: int) -> None:
        self._size = size  # bytes
        roots = {root.name: root for root in cgroups.hierarchies()}
        self._root = roots.get("memory") or next(iter(roots.values()))
        self._unified = (self._root / "cgroup.controllers").exists()
        self.folder = self._root / f"{cgroups.CGROUP}-limit-{os.getpid()}"

    def __enter__(self) -> Self:
        if self._unified:
            (self._root / "cgroup.subtree_control").write_text("+memory")
        self.folder.mkdir()
        limit = "memory.max" if self._unified else "memory.limit_in_bytes"
        (self.folder / limit).write_text(str(self._size))
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the group; the kernel may need a moment to let go of it after its last process."""
        deadline = time.monotonic() + _REMOVE_SECONDS
        while True:
            try:
                self.folder.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL)
            else:
                return

    def kills(self) -> int:
        """Return how many processes of the group the kernel has killed for want of memory."""
        file = self.folder / ("memory.events" if self._unified else "memory.oom_control")
        counts = dict(line.split() for line in file.read_text().splitlines())
        return int(counts["oom_kill"])
