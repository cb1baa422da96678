"""The image of the documented applications, built from docs/apps/Dockerfile, with pymilvus and Milvus Lite.

Its name is the one in the documented manifests, so that they are applied as they are.
"""

from pathlib import Path

from rich.console import Console

from tests.images.dockerfile import Recipe, ensure_archive
from tests.images.oci import Image

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "apps"


def recipe(folder: Path = FOLDER) -> Recipe:
    """Return what the image of the applications is made from."""
    return Recipe(
        name="rerank-apps",
        folder=folder,
        contents=("Dockerfile", "requirements-pymilvus.txt", "search.py"),
        tag="1",
    )


def ensure_apps_archive(console: Console | None = None) -> Image:
    """Return the image of the applications, built if what it is made from changed.

    Raises ImageBuildError if a builder is missing or the Dockerfile fails.
    """
    return ensure_archive(recipe(), console)
