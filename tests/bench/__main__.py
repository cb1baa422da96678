"""Measure the operator against its budgets: `python -m tests.bench --sizes 50,200,1000`.

For each size two control planes are started, one after the other: one without an operator, which gives the floor,
and one with it.
"""

import datetime as dt
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.console import Console

import rerank_operator
from tests.bench.errors import BenchError
from tests.bench.figures import figures_of, missed
from tests.bench.floor import measure_floor
from tests.bench.guard import build_guard_table, measure_guard
from tests.bench.operator_run import measure_operator
from tests.bench.report import build_table, write_json
from tests.bench.results import Machine, Measurement
from tests.cluster import versions
from tests.cluster.errors import ClusterError

RESULTS: Final = Path(__file__).parents[2] / "build" / "bench" / "results.json"
# The largest size is watched for as long as the budget says; the others only show that they are no different.
LARGEST_RESTART_SECONDS: Final = 60.0
RESTART_SECONDS: Final = 20.0
T = TypeVar("T")

console = Console()


def run(
    sizes: Annotated[str, typer.Option(help="Numbers of rerankers, separated by commas.")] = "50,200,1000",
    json_file: Annotated[
        Path,
        typer.Option("--json", help="Where the figures go.", dir_okay=False, show_default="build/bench/results.json"),
    ] = RESULTS,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a budget is missed.")] = False,
) -> None:
    """Measure each size, show the figures beside their budgets, and write them down."""
    counts = parse_sizes(sizes)
    machine = describe_machine()
    measurements: list[Measurement] = []
    for count in counts:
        seconds = LARGEST_RESTART_SECONDS if count == max(counts) else RESTART_SECONDS
        measurements.append(measure(count, seconds))
        write_json(json_file, machine, measurements)
    figures = {measured.rerankers: figures_of(measured) for measured in measurements}
    console.print(build_table(figures))
    console.print(build_guard_table(measure_guard()))
    console.print(f"{machine.processors} processors, {machine.date}; everything measured: {json_file}", highlight=False)
    for sentence in missed(figures):
        console.print(sentence, style="red", highlight=False)
    if strict and missed(figures):
        raise typer.Exit(1)


def parse_sizes(text: str) -> list[int]:
    """The numbers in an option's value, in order and each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} are not numbers of rerankers; write 50,200", param_hint="--sizes")
    return sorted({int(part) for part in parts})


def measure(count: int, restart_seconds: float) -> Measurement:
    """Floor and operator for one size."""
    load = os.getloadavg()[0]
    floor = _step(f"{count} rerankers, floor", lambda: measure_floor(count))
    operator = _step(f"{count} rerankers, operator", lambda: measure_operator(count, restart_seconds))
    return Measurement(rerankers=count, load_average_before=load, floor=floor, **operator._asdict())


def _step(title: str, work: Callable[[], T]) -> T:
    started = time.monotonic()
    with console.status(title):
        result = work()
    console.print(f"{title}: took {time.monotonic() - started:.0f} s", highlight=False)
    return result


def describe_machine() -> Machine:
    """What has to be known to compare figures with others."""
    return Machine(
        date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        processors=os.cpu_count() or 0,
        versions={
            "rerank-operator": rerank_operator.__version__,
            "python": platform.python_version(),
            "kopf": version("kopf"),
            "kubernetes": versions.KUBERNETES,
            "etcd": versions.ETCD,
        },
    )


def main() -> None:
    """Run the command line; what a person can mend is shown as one message."""
    # Whoever ends a benchmark must not leave its operator running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        typer.run(run)
    except (BenchError, ClusterError) as error:
        console.print("error:", style="bold red", end=" ")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
