"""The operator's image, built from the Dockerfile at the root of the repository like anyone's, but by buildah.

The tag is a hash of what the image is made from: an image of other sources has another name, so a pod cannot
run a stale one, and nothing is built twice.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from rerank_operator import __version__
from tests.engine.build_once import build_once, exclusive, lock_file
from tests.images.base import base_key, ensure_base, images_dir
from tests.images.buildah import buildah, export, forget_others
from tests.images.oci import Image
from tests.images.package_index import mounts

REPOSITORY = "localhost/rerank-operator"
ROOT = Path(__file__).resolve().parents[2]
KEPT_ARCHIVES = 2

_FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock")
_FOLDERS = ("operator",)
_PREFIX = "rerank-operator-"


def ensure_operator_archive(console: Console | None = None) -> Image:
    """Return the operator's image, built if the sources changed: a minute at first, seconds afterwards.

    Raises ImageBuildError if a builder is missing or the Dockerfile fails.
    """
    console = console or Console(stderr=True)
    reference = operator_reference()
    archive = images_dir() / f"{_PREFIX}{reference.rpartition(':')[2]}.tar"
    build_once(archive, lambda partial: _build(reference, partial, console))
    os.utime(archive)  # the time of last use decides which archives go
    _delete_old(images_dir())
    return Image(reference, archive)


def operator_reference() -> str:
    """Return the name that the image of the present sources has or will have."""
    return f"{REPOSITORY}:{source_hash(ROOT)}"


def source_hash(root: Path) -> str:
    """Hash the sources by path and content, and the base image. Compiled Python files do not count."""
    digest = hashlib.sha256(base_key().encode())
    for path in _sources(root):
        digest.update(f"\0{path.relative_to(root)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _sources(root: Path) -> Iterator[Path]:
    yield from (root / name for name in _FILES)
    for folder in _FOLDERS:
        files = (path for path in sorted((root / folder).rglob("*")) if path.is_file())
        yield from (path for path in files if "__pycache__" not in path.parts)


def _build(reference: str, partial: Path, console: Console) -> None:
    base = ensure_base(console)
    # Two builds at once would remove each other's layers.
    with exclusive(images_dir() / ".buildah.lock"), console.status(f"building {reference}"):
        for left_by_a_crash in images_dir().glob(f".{_PREFIX}*.partial"):
            left_by_a_crash.unlink()
        buildah("pull", "--quiet", f"oci-archive:{base.archive}")
        with TemporaryDirectory() as scratch:
            buildah(
                *("build", "--isolation=chroot", "--layers", "--pull=never", "--network=host"),
                *(f"--build-arg=BASE_IMAGE={base.reference}", f"--build-arg=VERSION={__version__}"),
                *(f"--volume={mount}" for mount in mounts(Path(scratch))),
                *("--tag", reference, str(ROOT)),
            )
        export(reference, partial)
        forget_others(REPOSITORY, reference)


def _delete_old(folder: Path) -> None:
    """Keep the archives used last, so that going back to the sources before is quick."""
    archives = sorted(folder.glob(f"{_PREFIX}*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in archives[KEPT_ARCHIVES:]:
        archive.unlink(missing_ok=True)
        lock_file(archive).unlink(missing_ok=True)
