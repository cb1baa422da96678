"""Run buildah with a store of its own in the cache, so that a person's images are neither seen nor touched."""

import shutil
import subprocess
from contextlib import suppress

from tests.cluster.cache import cache_dir
from tests.images.base import ImageBuildError

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


def forget(reference: str) -> None:
    """Remove an image from the store; the layers that another build can use again stay."""
    with suppress(ImageBuildError):  # it is not there
        buildah("rmi", reference)
