"""What a process has used so far, from /proc."""

import os
from pathlib import Path
from typing import Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
KIB_PER_MIB: Final = 1024


def cpu_seconds(pid: int) -> float:
    """Processor seconds of all its threads, in user mode and in the kernel."""
    # The name of the program, in parentheses, can hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system = fields[11], fields[12]
    return (int(user) + int(system)) / TICKS_PER_SECOND


def memory_mib(pid: int) -> tuple[float, float]:
    """Memory that it holds now and the most that it ever held (VmRSS and VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
    resident, most = (int(sizes[field].split()[0]) / KIB_PER_MIB for field in ("VmRSS", "VmHWM"))
    return resident, most
