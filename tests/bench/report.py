"""Figures as a table for people and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from tests.bench.figures import Figure, figures_of, missed
from tests.bench.results import Machine, Measurement

Figures = Mapping[int, Sequence[Figure]]


def build_table(figures: Figures) -> Table:
    """One row per figure, one column per number of rerankers."""
    table = Table(title="rerankers", title_justify="left", header_style="bold")
    table.add_column("figure")
    table.add_column("budget", justify="right")
    for size in figures:
        table.add_column(str(size), justify="right")
    for row in rows(figures):
        table.add_row(*row)
    return table


def rows(figures: Figures) -> list[list[str]]:
    """Title, budget, and a cell per size, with rich's markup."""
    return [[same[0].title, _budget(same), *map(_cell, same)] for same in zip(*figures.values(), strict=True)]


def _budget(same: Sequence[Figure]) -> str:
    budgets = dict.fromkeys(figure.budget for figure in same if figure.budget is not None)
    return " / ".join(f"≤ {budget:g}" for budget in budgets)


def _cell(figure: Figure) -> str:
    text = f"{figure.value:.{figure.decimals}f}{figure.note}"
    if figure.holds is None:
        return text
    return f"[green]{text} ✔[/]" if figure.holds else f"[bold red]{text} ✘[/]"


def write_json(path: Path, machine: Machine, measurements: Sequence[Measurement]) -> None:
    """Write everything that was measured, and the figures with their budgets."""
    figures = {measured.rerankers: figures_of(measured) for measured in measurements}
    document = {
        "machine": machine.model_dump(),
        "figures": {size: [_as_json(figure) for figure in listed] for size, listed in figures.items()},
        "missed": missed(figures),
        "measurements": [measured.model_dump() for measured in measurements],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _as_json(figure: Figure) -> dict[str, object]:
    return {
        "title": figure.title.strip() + figure.note,
        "value": round(figure.value, 4),
        "budget": figure.budget,
        "holds": figure.holds,
    }
