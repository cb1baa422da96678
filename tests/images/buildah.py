"""Run buildah with a store of its own in the cache, so that a person's images are neither seen nor touched."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.cluster.cache import cache_dir
from tests.images.base import ImageBuildError

# Where the builder stage finds the certificates of this machine; all bases of Debian's kind have this file.
_CERTIFICATES_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
_INDEX_VARIABLES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT"),
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INSECURE_HOST"),
)
_SETTINGS = {
    "/etc/pip.conf": ("$PIP_CONFIG_FILE", "~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf"),
    "/etc/uv/uv.toml": ("$UV_CONFIG_FILE", "~/.config/uv/uv.toml", "/etc/uv/uv.toml"),
}
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


def index_options() -> Iterator[str]:
    """Give the options of `buildah build` that let it install packages the way this machine does.

    Variables are unset again in the finished image, and files are only mounted while a command runs.
    """
    variables = {name: os.environ[name] for name in _INDEX_VARIABLES if name in os.environ}
    if certificates := _certificates():
        yield f"--volume={certificates}:{_CERTIFICATES_INSIDE}:ro"
        variables |= {"SSL_CERT_FILE": _CERTIFICATES_INSIDE, "PIP_CERT": _CERTIFICATES_INSIDE}
    for inside, candidates in _SETTINGS.items():
        if settings := _first_file(candidates):
            yield f"--volume={settings}:{inside}:ro"
    for name, value in variables.items():
        yield f"--env={name}={value}"
        yield f"--unsetenv={name}"


def forget(reference: str) -> None:
    """Remove an image from the store; the layers that another build can use again stay."""
    with suppress(ImageBuildError):  # it is not there
        buildah("rmi", reference)


def _certificates() -> Path | None:
    default = ssl.get_default_verify_paths().cafile or _CERTIFICATES_INSIDE
    return _first_file((*(f"${name}" for name in _CERTIFICATE_VARIABLES), default))


def _first_file(candidates: tuple[str, ...]) -> Path | None:
    paths = (Path(os.path.expandvars(candidate)).expanduser() for candidate in candidates)
    return next((path.resolve() for path in paths if path.is_file()), None)
