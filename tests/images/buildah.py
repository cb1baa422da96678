"""Run buildah with a store of its own in the cache, so that a person's images are neither seen nor touched."""

import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.cluster.cache import cache_dir
from tests.images.base import ImageBuildError
from tests.images.oci import ArchiveWriter

_LINES_IN_AN_ERROR = 30


def buildah(*arguments: str) -> str:
    """Run one buildah command and return its output.

    Raises ImageBuildError if buildah is missing, or with the last lines of a command that failed.
    """
    if shutil.which("buildah") is None:
        raise ImageBuildError("buildah is missing: apt-get install buildah")
    store = cache_dir() / "buildah"
    command = ["buildah", "--root", str(store / "root"), "--runroot", str(store / "run"), *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        tail = "\n".join(result.stdout.splitlines()[-_LINES_IN_AN_ERROR:])
        raise ImageBuildError(f"`buildah {arguments[0]}` ended with {result.returncode}:\n{tail}")
    return result.stdout


def export(built: str, archive: Path, reference: str) -> None:
    """Write the image `built` of the store to an uncompressed OCI archive, under the name `reference`.

    buildah's own archives are always compressed, which costs seconds here and again where they are unpacked.
    """
    with TemporaryDirectory(dir=archive.parent) as folder, ArchiveWriter(archive) as writer:
        buildah("push", "--quiet", "--disable-compression", "--format=oci", built, f"dir:{folder}")
        manifest = json.loads(Path(folder, "manifest.json").read_text())
        for layer in manifest["layers"]:
            with _blob(folder, layer).open("rb") as stream:
                writer.add_layer(stream)
        writer.finish_with(reference, _blob(folder, manifest["config"]).read_bytes())


def forget_others(repository: str, reference: str) -> None:
    """Remove all images of a repository but one, whose layers the next build can use again."""
    images = json.loads(buildah("images", "--json"))
    names = {name for image in images for name in image.get("names") or ()}
    for name in sorted(names - {reference}):
        if name.startswith(f"{repository}:"):
            buildah("rmi", name)


def _blob(folder: str, descriptor: dict[str, Any]) -> Path:
    return Path(folder, descriptor["digest"].removeprefix("sha256:"))
