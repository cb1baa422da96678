"""A benchmark reports; only --strict makes a missed budget a failure."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.bench import __main__ as command_line
from tests.bench.results import Burst, Drift, Floor, Measurement, Window


def a_measurement(rerankers: int, writes_after_restart: int) -> Measurement:
    return Measurement(
        rerankers=rerankers,
        load_average_before=0.5,
        floor=Floor(written_seconds=2.0, ready_seconds=4.0),
        burst=Burst(
            workloads_seconds=1.0,
            ready_seconds=4.0,
            writes={},
            reads={},
            kopf_requests={},
            cpu_seconds=0.01,
            published_seconds=[0.1],
        ),
        quiet=Window(seconds=15.0, writes={}, cpu_seconds=0.0),
        restart=Window(seconds=60.0, writes={"create configmaps": writes_after_restart}, cpu_seconds=1.0),
        stop_seconds=0.2,
        drift=Drift(deleted_deployment=[0.1], added_argument=[0.2]),
        idle_mib=60.0,
        max_mib=80.0,
    )


def run(monkeypatch: pytest.MonkeyPatch, file: Path, *flags: str, writes: int = 0) -> Result:
    """Run the command line with measurements that take no time."""
    monkeypatch.setattr(command_line, "measure", lambda count, _seconds: a_measurement(count, writes))
    app = typer.Typer()
    app.command()(command_line.run)
    return CliRunner().invoke(app, ["--sizes", "5", "--json", str(file), *flags])


@pytest.mark.parametrize(
    ("writes", "flags", "exit_code"),
    [
        pytest.param(0, [], 0, id="held"),
        pytest.param(0, ["--strict"], 0, id="held and strict"),
        pytest.param(3, [], 0, id="missed"),
        pytest.param(3, ["--strict"], 1, id="missed and strict"),
    ],
)
def test_only_strict_turns_a_missed_budget_into_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writes: int, flags: list[str], exit_code: int
) -> None:
    assert exit_code == run(monkeypatch, tmp_path / "results.json", *flags, writes=writes).exit_code


def test_a_missed_budget_is_written_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    run(monkeypatch, file, writes=3)

    expected = ["writes after a restart: 3 in 60 s with 5 rerankers, budget 0"]
    assert expected == json.loads(file.read_text(encoding="utf-8"))["missed"]
