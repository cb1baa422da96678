"""The base image of all others: a slim Debian 12 with its own Python 3.11.

The packages come from wherever this machine's apt is set up to get them, so no address is written here.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.cluster.cache import cache_dir
from tests.engine.build_once import build_once
from tests.images.oci import ArchiveWriter, Image, ImageConfig

REFERENCE = "localhost/python:3.11"
SUITE = "bookworm"
# What vLLM's libraries are linked with, and what the operator's Dockerfile needs to make its environment.
PACKAGES = ("ca-certificates", "libnuma1", "libstdc++6", "python3", "python3-venv")
# Nobody reads manuals inside these images.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_EMPTIED = ("/var/cache/apt", "/var/lib/apt/lists", "/var/log")
_OS_RELEASE = Path("/etc/os-release")
_APT = Path("/etc/apt")


class ImageBuildError(RuntimeError):
    """An image cannot be built; the message says what is missing, or ends with the builder's last lines."""


def ensure_base(console: Console | None = None) -> Image:
    """Return the base image; the first call makes it in about a minute.

    Raises ImageBuildError if this is not Debian 12, mmdebstrap is missing, or it fails.
    """
    archive = images_dir() / f"python-3.11-{base_key()}.tar"
    console = console or Console(stderr=True)
    return Image(REFERENCE, build_once(archive, lambda partial: _make(partial, console)))


def base_key() -> str:
    """Hash the recipe. Newer packages of the same Debian do not change it: delete the archive to renew."""
    recipe = [SUITE, *PACKAGES, *_LEFT_OUT, *_EMPTIED]
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:12]


def images_dir() -> Path:
    """Return the folder of the archives."""
    return cache_dir() / "images"


def _make(partial: Path, console: Console) -> None:
    _require_debian_12()
    if shutil.which("mmdebstrap") is None:
        raise ImageBuildError("mmdebstrap is missing: apt-get install mmdebstrap")
    rootfs = partial.with_suffix(".rootfs.tar")
    command = [
        *("mmdebstrap", "--quiet", "--variant=essential", "--format=tar", f"--include={','.join(PACKAGES)}"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f'--customize-hook=find "$1{folder}" -type f -delete' for folder in _EMPTIED),
        *(SUITE, str(rootfs), *map(str, _apt_sources())),
    ]
    try:
        with console.status("making the Debian base image"):
            _run(command)
        with ArchiveWriter(partial) as writer, rootfs.open("rb") as layer:
            writer.add_layer(layer)
            writer.finish(REFERENCE, ImageConfig(command=("python3",)))
    finally:
        rootfs.unlink(missing_ok=True)


def _run(command: Sequence[str]) -> None:
    # The same packages give the same files only with a fixed date.
    variables = {**os.environ, "SOURCE_DATE_EPOCH": "0", "LC_ALL": "C.UTF-8"}
    result = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    if result.returncode != 0:
        raise ImageBuildError(f"{command[0]} ended with {result.returncode}:\n{result.stderr[-2000:]}")


def _require_debian_12() -> None:
    release = dict(line.split("=", 1) for line in _OS_RELEASE.read_text().splitlines() if "=" in line)
    if release.get("VERSION_CODENAME") != SUITE:
        found = release.get("PRETTY_NAME", "an unknown system")
        raise ImageBuildError(
            f"{_OS_RELEASE} says {found}: the test images are made from the package sources of Debian 12"
        )


def _apt_sources() -> list[Path]:
    """Return the files that name this machine's sources of Debian packages. mmdebstrap takes them as they are."""
    files = [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))]
    named = [path for path in files if path.suffix in {".list", ".sources"} and path.is_file()]
    return [path for path in named if SUITE in path.read_text()]
