"""An image that is built from a Dockerfile of this repository like anyone's, but by buildah.

Its archive is named by a hash of what it is made from, so nothing is built twice and no stale one is taken.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.engine.build_once import build_once, exclusive, lock_file
from tests.images.base import base_key, ensure_base, images_dir
from tests.images.buildah import buildah, export, forget_others
from tests.images.oci import Image
from tests.images.package_index import mounts

KEPT_ARCHIVES = 2


@dataclass(frozen=True)
class Recipe:
    """What an image is made from: the folder with its Dockerfile, and there the files and folders that count.

    Its repository is `localhost/` and `name`. `tag` is for an image that a manifest names; without one the tag is
    the hash. `variables` are build arguments besides BASE_IMAGE.
    """

    name: str
    folder: Path
    contents: Sequence[str]
    tag: str = ""
    variables: Sequence[str] = ()

    @property
    def reference(self) -> str:
        """The name that a pod asks for."""
        return f"{self.repository}:{self.tag or self.key}"

    @property
    def repository(self) -> str:
        """The name without its tag."""
        return f"localhost/{self.name}"

    @property
    def key(self) -> str:
        """Hash the sources by path and content, and the base image. Compiled Python files do not count."""
        digest = hashlib.sha256(base_key().encode())
        for path in self._files():
            digest.update(f"\0{path.relative_to(self.folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    def _files(self) -> Iterator[Path]:
        for path in (self.folder / name for name in self.contents):
            files = sorted(path.rglob("*")) if path.is_dir() else [path]
            yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def ensure_archive(recipe: Recipe, console: Console | None = None) -> Image:
    """Return a recipe's image, built if what it is made from changed.

    Raises ImageBuildError if a builder is missing or the Dockerfile fails.
    """
    console = console or Console(stderr=True)
    archive = images_dir() / f"{recipe.name}-{recipe.key}.tar"
    build_once(archive, lambda partial: _build(recipe, partial, console))
    os.utime(archive)  # the time of last use decides which archives go
    delete_old_archives(recipe.name, images_dir())
    return Image(recipe.reference, archive)


def delete_old_archives(name: str, folder: Path) -> None:
    """Keep the archives used last, so that going back to the sources before is quick."""
    archives = sorted(folder.glob(f"{name}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for archive in archives[KEPT_ARCHIVES:]:
        archive.unlink(missing_ok=True)
        lock_file(archive).unlink(missing_ok=True)


def _build(recipe: Recipe, partial: Path, console: Console) -> None:
    base = ensure_base(console)
    # In buildah's store every image has a name of its own, or those before would stay there without one.
    built = f"{recipe.repository}:{recipe.key}"
    # Two builds at once would remove each other's layers.
    with exclusive(images_dir() / ".buildah.lock"), console.status(f"building {recipe.reference}"):
        for left_by_a_crash in images_dir().glob(f".{recipe.name}-*.partial"):
            left_by_a_crash.unlink()
        buildah("pull", "--quiet", f"oci-archive:{base.archive}")
        with TemporaryDirectory() as scratch:
            buildah(
                *("build", "--isolation=chroot", "--layers", "--pull=never", "--network=host"),
                *(f"--build-arg={variable}" for variable in (f"BASE_IMAGE={base.reference}", *recipe.variables)),
                *(f"--volume={mount}" for mount in mounts(Path(scratch))),
                *("--tag", built, str(recipe.folder)),
            )
        export(built, partial, recipe.reference)
        forget_others(recipe.repository, built)
