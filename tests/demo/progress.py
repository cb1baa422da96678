"""Show the steps of the demo: a live line while one runs, and a line with its seconds afterwards."""

import contextlib
import time
from collections.abc import Iterator
from typing import Final, Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

SECONDS_BETWEEN_LINES: Final = 20.0


class Step:
    """One running step; on a terminal its line counts the time, elsewhere a line is written now and then."""

    def __init__(self, title: str, console: Console) -> None:
        self._console = console
        self._detail = ""
        self._started = self._last_line = time.monotonic()
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}", table_column=Column(ratio=1, no_wrap=True)),
            console=console,
            transient=True,
            expand=True,
        )
        self._task = self._live.add_task(escape(title), total=None, detail="")
        self.outcome = ""
        """Added to the line that is left behind."""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, detail: str) -> None:
        """Say what is being waited for."""
        self._live.update(self._task, detail=escape(detail))
        now = time.monotonic()
        is_new = detail != self._detail
        due = is_new or now - self._last_line > SECONDS_BETWEEN_LINES
        if detail and due and not self._console.is_terminal:
            line = detail if is_new else f"still after {now - self._started:.0f} s: {detail}"
            self._console.print(f"  {escape(line)}", style="dim", highlight=False, soft_wrap=True)
            self._last_line = now
        self._detail = detail

    def show(self, renderable: RenderableType) -> None:
        """Print something that stays, above the live line."""
        self._console.print(renderable, highlight=False, soft_wrap=True, markup=False)


@contextlib.contextmanager
def step(title: str, console: Console) -> Iterator[Step]:
    """Run a step; leave one line that says how long it took, also when it fails."""
    if not console.is_terminal:
        console.print(f"{escape(title)} ...", highlight=False)
    started = time.monotonic()
    try:
        with Step(title, console) as running:
            yield running
    except BaseException:
        console.print(_line("[red]✘[/]", title, started, "failed"), highlight=False, soft_wrap=True)
        raise
    console.print(_line("[green]✔[/]", title, started, running.outcome), highlight=False, soft_wrap=True)


def _line(mark: str, title: str, started: float, outcome: str) -> str:
    seconds = time.monotonic() - started
    return f"{mark} {escape(title)}  [bold]{seconds:.1f} s[/]" + (f"  [dim]{escape(outcome)}[/]" if outcome else "")
