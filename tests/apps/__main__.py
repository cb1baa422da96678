"""Make the environments of the programs in docs/apps ahead of time."""

import sys

import typer
from rich.console import Console

from tests.apps import environments
from tests.engine.uv_install import UvError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
console = Console()


@app.callback()
def main() -> None:
    """Keep `environments` a command of its own."""


@app.command("environments")
def make_environments() -> None:
    """Install each framework in the cache and print where it is."""
    for framework in environments.FRAMEWORKS:
        console.print(f"{framework} {environments.ensure(framework, console)}", soft_wrap=True)


if __name__ == "__main__":
    try:
        app()
    except UvError as error:
        sys.exit(f"error: {error}")
