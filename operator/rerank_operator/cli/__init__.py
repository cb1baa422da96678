"""The command line: run the operator, ask an endpoint or a cluster what is wrong, see what a file would become."""

import sys
from pathlib import Path
from typing import Final

import typer

from rerank_operator import __version__
from rerank_operator.cli import catalog, doctor, files, plan, render, verify, watch
from rerank_operator.cli.output import Command
from rerank_operator.cli.settings import read_settings

# kubectl finds `kubectl-rerank` in PATH when somebody types `kubectl rerank`.
PLUGIN_FILE: Final = "kubectl-rerank"
PLUGIN: Final = "kubectl rerank"

cli = typer.Typer(
    name="rerank-operator", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)


def main() -> None:
    """Entry point of the `rerank-operator` command, and of `kubectl rerank`."""
    cli(prog_name=PLUGIN if Path(sys.argv[0]).stem == PLUGIN_FILE else None)


@cli.command(cls=Command)
def run() -> None:
    """Run the operator; it is configured by RERANK_OPERATOR_* variables.

    Example: RERANK_OPERATOR_WATCH_NAMESPACES=search PROGRAM run
    """
    settings = read_settings()
    from rerank_operator.app import run as run_operator  # noqa: PLC0415 - kopf takes a second to import

    run_operator(settings)


cli.command(cls=Command)(verify.verify)
cli.command(cls=Command)(doctor.doctor)
cli.command(cls=Command)(watch.watch)
cli.command(cls=Command)(catalog.catalog)
cli.command(cls=Command)(render.render)
cli.command(cls=Command)(plan.plan)
cli.command(cls=Command)(files.params)
cli.command(cls=Command, hidden=True)(files.crd)


@cli.command(cls=Command)
def version() -> None:
    """Print the version.

    Example: PROGRAM version
    """
    typer.echo(__version__)
