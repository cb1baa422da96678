"""The operator's image, built from the Dockerfile at the root of the repository.

The tag is a hash of what the image is made from: an image of other sources has another name, so a pod cannot
run a stale one.
"""

from pathlib import Path

from rich.console import Console

from rerank_operator import __version__
from tests.images.dockerfile import Recipe, ensure_archive
from tests.images.oci import Image

ROOT = Path(__file__).resolve().parents[2]


def recipe(root: Path = ROOT) -> Recipe:
    """Return what the operator's image is made from."""
    return Recipe(
        name="rerank-operator",
        folder=root,
        contents=("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "operator"),
        variables=(f"VERSION={__version__}",),
    )


def ensure_operator_archive(console: Console | None = None) -> Image:
    """Return the operator's image, built if the sources changed: a minute at first, seconds afterwards.

    Raises ImageBuildError if a builder is missing or the Dockerfile fails.
    """
    return ensure_archive(recipe(), console)
