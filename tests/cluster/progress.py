"""Show a long build or start while it runs: what, for how long, and how long it usually takes."""

import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.cluster import binaries

_LINE_EVERY_SECONDS = 20


def duration(seconds: float) -> str:
    """Return a duration as a person says it: "40 s", "5 min 30 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def build_missing(names: Sequence[str] = (), console: Console | None = None) -> None:
    """Build what is missing of `names` (none given: all), with live progress on `console`.

    Raises BuildError when a compiler fails.
    """
    console = console or Console(stderr=True)
    for target in binaries.missing(names):
        usual = f"usually {duration(target.usual_seconds)} with an empty Go cache, two processors"
        started = time.monotonic()
        with _BuildDisplay(f"building {target.name} ({usual})", console) as display:
            binaries.build(target, display.show)
        console.print(f"built {target.name} in {duration(time.monotonic() - started)}: {target.path()}")


class _BuildDisplay:
    """A spinner on a terminal; elsewhere, as in a CI log, a line now and then."""

    def __init__(self, title: str, console: Console) -> None:
        self._console = console
        self._title = title
        self._lines = 0
        self._last_line = 0.0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[line]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(title, total=None, line="")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        else:
            self._console.print(self._title)
            self._last_line = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, line: str) -> None:
        """Count one package that the compiler names and show it."""
        self._lines += 1
        self._progress.update(self._task, line=f"{self._lines} packages, {line[:60]}")
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = now
            self._console.print(f"  {self._lines} packages so far")
