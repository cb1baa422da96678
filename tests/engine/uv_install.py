"""Run uv and show how far a large download is."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

_ANNOUNCED = re.compile(r"\s*Downloading (\S+) \((\d+(?:\.\d+)?)(KiB|MiB|GiB)\)")
_FINISHED = re.compile(r"\s*Downloaded (\S+)")
_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_LINES_IN_AN_ERROR = 20


class UvError(RuntimeError):
    """uv is missing or failed; the message holds the remedy or the end of its output."""


class DownloadTally:
    """Bytes announced and bytes finished, counted from the lines that uv prints when it has no terminal."""

    def __init__(self) -> None:
        self._announced: dict[str, int] = {}
        self._finished: set[str] = set()

    def read(self, line: str) -> None:
        """Take one line of uv's output into account."""
        if match := _ANNOUNCED.match(line):
            name, number, unit = match.groups()
            self._announced[name] = round(float(number) * _UNITS[unit])
        elif match := _FINISHED.match(line):
            self._finished.add(match.group(1))

    @property
    def announced(self) -> int:
        """Bytes of all packages whose download has begun; uv names only those above 1 MiB."""
        return sum(self._announced.values())

    @property
    def finished(self) -> int:
        """Bytes of the packages that are complete."""
        return sum(size for name, size in self._announced.items() if name in self._finished)


def uv_command() -> list[str]:
    """Return the command that starts uv: the one in PATH, or the module of this Python.

    Raises UvError if there is neither.
    """
    for command in (["uv"], [sys.executable, "-m", "uv"]):
        # A version manager can leave a `uv` in PATH that only says it is not installed: ask it.
        if shutil.which(command[0]) and subprocess.run([*command, "-V"], capture_output=True).returncode == 0:  # noqa: PLW1510
            return command
    raise UvError("uv was found neither in PATH nor as a module of this Python: run `pip install uv`")


def uv(*arguments: str) -> str:
    """Run uv to its end and return its standard output. Raises UvError with its messages if it fails."""
    command = [*uv_command(), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=_variables(), check=False)
    if result.returncode != 0:
        raise UvError(f"`uv {arguments[0]}` ended with {result.returncode}:\n{result.stderr}")
    return result.stdout


def install(arguments: Sequence[str], console: Console) -> None:
    """Run `uv pip install` and show the bytes downloaded so far. Raises UvError if it fails."""
    command = [*uv_command(), "pip", "install", *arguments]
    tally, lines = DownloadTally(), []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TimeElapsedColumn())
    pipe = subprocess.PIPE
    with (
        Progress(*columns, console=console, transient=True) as progress,
        subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=_variables()) as process,
    ):
        bar = progress.add_task("downloading", total=None)
        for line in process.stdout or ():
            lines.append(line)
            tally.read(line)
            progress.update(bar, completed=tally.finished, total=tally.announced)
            if line.startswith("Installed"):
                progress.update(bar, description="compiling bytecode")
    if process.returncode != 0:
        tail = "".join(lines[-_LINES_IN_AN_ERROR:])
        raise UvError(f"`uv pip install` ended with {process.returncode}:\n{tail}")


def _variables() -> dict[str, str]:
    """Keep the caller's index settings, forget the caller's virtual environment."""
    foreign = {"VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "PYTHONPATH", "PYTHONHOME"}
    return {name: value for name, value in os.environ.items() if name not in foreign}
