"""What people and programs get to see."""

import json
from pathlib import Path

import pytest
import typer

from tests.bench.__main__ import describe_machine, parse_sizes
from tests.bench.figures import Figure
from tests.bench.report import build_table, rows, write_json

FIGURES = {
    50: [Figure("writes", 6.5, 7, 2), Figure("memory, MiB", 90.4, 100, 0), Figure("seconds", 3.21)],
    1000: [Figure("writes", 7.5, 7, 2), Figure("memory, MiB", 149.6, 150, 0), Figure("seconds", 70.0, None, 1, " s")],
}


def test_each_row_has_its_budget_and_a_verdict_per_size() -> None:
    assert ["writes", "≤ 7", "[green]6.50 ✔[/]", "[bold red]7.50 ✘[/]"] == rows(FIGURES)[0]


def test_budgets_that_differ_between_sizes_are_both_shown() -> None:
    assert "≤ 100 / ≤ 150" == rows(FIGURES)[1][1]


def test_a_figure_without_a_budget_gets_no_verdict() -> None:
    assert ["seconds", "", "3.2", "70.0 s"] == rows(FIGURES)[2]


def test_the_table_has_a_column_per_size() -> None:
    assert ["figure", "budget", "50", "1000"] == [column.header for column in build_table(FIGURES).columns]


def test_the_json_file_says_where_it_was_measured(tmp_path: Path) -> None:
    machine = describe_machine()
    file = tmp_path / "bench" / "results.json"
    write_json(file, machine, [])

    written = json.loads(file.read_text(encoding="utf-8"))
    assert {"machine": machine.model_dump(), "figures": {}, "missed": [], "measurements": []} == written


def test_sizes_are_taken_in_order_and_once() -> None:
    assert [5, 50, 200] == parse_sizes("50, 200,5,50")


@pytest.mark.parametrize("text", ["", "0", "50,", "-3", "many"])
def test_sizes_that_are_no_numbers_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write 50,200"):
        parse_sizes(text)
