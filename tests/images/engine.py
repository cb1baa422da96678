"""The engine's image: the Debian base and, at /opt/vllm, the same environment that the tests run outside.

It takes the place of the public vLLM images, which need a registry, and it starts like them: `vllm serve`.
"""

import subprocess
from pathlib import Path

from rich.console import Console

from tests.engine import environment
from tests.engine.build_once import build_once
from tests.images.base import ImageBuildError, base_key, ensure_base, images_dir
from tests.images.oci import ArchiveWriter, Image, ImageConfig, open_layers

REFERENCE = f"localhost/vllm-cpu:{environment.VLLM_VERSION}"
INSIDE = "opt/vllm"
CONFIG = ImageConfig(entrypoint=("vllm", "serve"), path=f"/{INSIDE}/bin")

# Only a GPU makes torch load these, and they are 0.9 GB of 5.2. What libtorch is linked with must stay.
LEFT_OUT = (
    "*/nvidia/cudnn/lib/libcudnn_*",
    "*/nvidia/cu13/lib/libcusolverMg*",
    "*/nvidia/cu13/lib/libnvperf*",
    "*/nvidia/cu13/lib/libnvrtc*.alt.*",
    "*/nvidia/nvshmem/lib/libnvshmem_device*",
    "*/nvidia/*/include",
    "*/torch/include",
    "*.a",
    "./.lock",
)


def ensure_engine_archive(console: Console | None = None) -> Image:
    """Return the engine's image as an uncompressed archive of about 5 GB, written in a minute or two.

    Raises ImageBuildError, or the errors of the environment (tests.engine.environment.ensure).
    """
    console = console or Console(stderr=True)
    archive = _archive()
    build_once(archive, lambda partial: _write(partial, console))
    return Image(REFERENCE, archive)


def known_digest() -> str | None:
    """Return the manifest digest of the present environment's image, if it was ever packed here.

    It outlives the archive, so that one can tell whether a container runtime already has this image.
    """
    note = _digest_note()
    return note.read_text() if note.exists() else None


def discard_archive() -> None:
    """Delete the archive. The container runtime's store keeps the image once it is imported."""
    _archive().unlink(missing_ok=True)


def _archive() -> Path:
    key = f"{environment.environment_key()}-{base_key()}"
    return images_dir() / f"vllm-cpu-{environment.VLLM_VERSION}-{key}.tar"


def _digest_note() -> Path:
    return _archive().with_suffix(".digest")


def _write(partial: Path, console: Console) -> None:
    base = ensure_base(console)
    tree = environment.ensure(console).path
    with console.status(f"packing {REFERENCE}: about 5 GB"), ArchiveWriter(partial) as writer:
        with open_layers(base.archive) as layers:
            for layer in layers:
                writer.add_layer(layer)
        _add_tree(writer, tree)
        digest = writer.finish(REFERENCE, CONFIG)
    _digest_note().write_text(digest)


def _add_tree(writer: ArchiveWriter, tree: Path) -> None:
    command = [
        *("tar", "--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"),
        *(f"--exclude={pattern}" for pattern in LEFT_OUT),
        # Symbolic links inside the tree are relative or lead to Debian's Python: they stay as they are.
        *("--directory", str(tree), f"--transform=flags=rh;s,^\\.,{INSIDE},", "."),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise AssertionError
        writer.add_layer(process.stdout)
    if process.returncode != 0:
        raise ImageBuildError(f"tar ended with {process.returncode} while packing {tree}")
