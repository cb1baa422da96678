"""The images that the node's pods run: imported into its containerd, whose store outlives the node.

Names start with `localhost/`. The kubelet takes any other name without a host for one of the public hub.
"""

import fcntl
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.binaries import binary
from tests.cluster.cache import cache_dir
from tests.cluster.errors import ClusterError
from tests.cluster.namespaces import init_pid, run_inside
from tests.cluster.oci import ArchivedImage, read_archive, write_program_image
from tests.cluster.processes import wait_until

PAUSE_IMAGE = "localhost/pause:1"
COREDNS_IMAGE = "localhost/coredns:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
_CHECKED_LINE = re.compile(r"^(?P<name>\S+)\s.*\s(?P<digest>sha256:\w+)\s+complete .*\strue\s*$")
# The kubelet's side of containerd marks an image with this label once it knows it.
_KNOWN_LABEL = "io.cri-containerd.image=managed"
_KNOWN_SECONDS = 60.0


def store_dir() -> Path:
    """Return the folder of containerd's store, kept between clusters so that images are imported once."""
    return cache_dir() / "containerd"


def import_archive(archive: Path) -> bool:
    """Import an OCI archive unless its image is there already; return whether it had to.

    Raises ClusterError when no cluster runs or the archive does not hold one image named localhost/NAME:TAG.
    """
    archive = archive.resolve()
    image = read_archive(archive)
    with _one_import_at_a_time():
        if image.digest == present_images().get(image.name):
            return False
        ctr("images", "import", str(archive))
        wait_until(lambda: _is_known(image), f"the kubelet knows {image.name}", seconds=_KNOWN_SECONDS)
        _remove_nameless_images()
        return True


def present_images() -> dict[str, str]:
    """Return name and digest of each image that is complete and unpacked."""
    return {image.name: image.digest for image in _complete_images() if "/" in image.name}


def import_own_images() -> None:
    """Import the images of the cluster itself: the pause process and CoreDNS."""
    for name, program in ((PAUSE_IMAGE, "pause"), (COREDNS_IMAGE, "coredns")):
        with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
            archive = Path(folder) / "image.tar"
            write_program_image(archive, name, binary(program))
            import_archive(archive)


def ctr(*arguments: str) -> str:
    """Run containerd's own client on the images and containers of Kubernetes, inside the node.

    Raises ClusterError when no cluster runs or the command fails.
    """
    pid = init_pid(cache_dir() / "cluster")
    if pid is None:
        raise ClusterError("no test cluster runs: start one with `python -m tests.cluster up`")
    return run_inside(pid, ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *arguments])


def _is_known(image: ArchivedImage) -> bool:
    lines = ctr("images", "list", f"name=={image.name}").splitlines()
    return any(image.digest in line and _KNOWN_LABEL in line for line in lines)


def _complete_images() -> list[ArchivedImage]:
    lines = map(_CHECKED_LINE.match, ctr("images", "check").splitlines())
    return [ArchivedImage(line["name"], line["digest"]) for line in lines if line]


def _remove_nameless_images() -> None:
    """Remove the images whose name was given to a later one, so that the store does not grow with each build.

    The kubelet's side lists every image once more under its own digest, and that entry would keep it.
    """
    images = _complete_images()
    named = {image.digest for image in images if "/" in image.name}
    old = [image.name for image in images if image.digest not in named]
    if old:
        ctr("images", "delete", "--sync", *old)


@contextmanager
def _one_import_at_a_time() -> Iterator[None]:
    """Let whoever wants an image that is just being imported wait for it, instead of doing it twice."""
    with (cache_dir() / "images.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
