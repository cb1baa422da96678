"""Make the engine of the tests ahead of time, or run it by hand."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.engine import environment, tiny_reranker
from tests.engine.environment import EnvironmentUnavailableError
from tests.engine.server import VllmServer, VllmStartError
from tests.engine.tiny_reranker import TrainingError
from tests.engine.uv_install import UvError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
console = Console()


@app.command("environment")
def make_environment() -> None:
    """Install the CPU build of vLLM in the cache and print where it is."""
    made = environment.ensure(console)
    console.print(f"vLLM {made.vllm_version} in {made.path}", soft_wrap=True)


@app.command()
def models() -> None:
    """Train the small rerankers, make the broken ones, and print where they are."""
    console.print(f"tiny-reranker {tiny_reranker.ensure_model()}", soft_wrap=True)
    console.print(f"second {tiny_reranker.ensure_second_model()}", soft_wrap=True)
    for name, folder in tiny_reranker.ensure_broken_models().items():
        console.print(f"{name} {folder}", soft_wrap=True)


@app.command()
def serve(
    middleware: Annotated[Path | None, typer.Option(help="file that defines `Guard`")] = None,
    model: Annotated[Path | None, typer.Option(help="model folder, default: the tiny reranker")] = None,
) -> None:
    """Run the real vLLM with the tiny reranker on a free loopback port until Ctrl-C."""
    with VllmServer(model or tiny_reranker.ensure_model(), middleware=middleware) as server:
        console.print(f"ready in {server.seconds_to_ready:.0f} s: {server.url}", soft_wrap=True)
        # Blocked only now: the server inherits the mask of its parent, and must not.
        ending = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        signal.sigwait(ending)


@app.command()
def pin() -> None:
    """Resolve the environment's requirements anew and write tests/engine/pins.txt."""
    console.print(environment.pin(), soft_wrap=True)


if __name__ == "__main__":
    try:
        app()
    except (EnvironmentUnavailableError, UvError, TrainingError, VllmStartError) as error:
        sys.exit(f"error: {error}")
