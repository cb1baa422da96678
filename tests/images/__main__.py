"""Build the container images of the tests, each as an OCI archive in the cache."""

import sys

import typer
from rich.console import Console

from tests.cluster.errors import ClusterError
from tests.engine.environment import EnvironmentUnavailableError
from tests.engine.uv_install import UvError
from tests.images.apps import ensure_apps_archive
from tests.images.base import ImageBuildError, ensure_base
from tests.images.engine import discard_archive, ensure_engine_archive
from tests.images.loading import load_engine, load_operator
from tests.images.oci import Image
from tests.images.operator import ensure_operator_archive

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
console = Console()


@app.command()
def base() -> None:
    """Make the Debian base with Python 3.11."""
    _show(ensure_base(console))


@app.command()
def operator() -> None:
    """Build the operator's image from the Dockerfile, unless the sources are unchanged."""
    _show(ensure_operator_archive(console))


@app.command()
def apps() -> None:
    """Build the image of the documented applications from docs/apps, unless it is unchanged."""
    _show(ensure_apps_archive(console))


@app.command()
def engine() -> None:
    """Pack the real vLLM into an image."""
    _show(ensure_engine_archive(console))


@app.command()
def load() -> None:
    """Import both images into the running test cluster."""
    console.print(load_operator(console))
    console.print(load_engine(console))


@app.command("discard-engine")
def discard_engine() -> None:
    """Delete the archive of the engine's image, which the container runtime no longer needs once imported."""
    discard_archive()


def _show(image: Image) -> None:
    size = image.archive.stat().st_size / 1024**2
    console.print(f"{image.reference} {image.archive} ({size:.0f} MiB)", soft_wrap=True)


if __name__ == "__main__":
    try:
        app()
    except (ClusterError, EnvironmentUnavailableError, ImageBuildError, UvError) as error:
        sys.exit(f"error: {error}")
