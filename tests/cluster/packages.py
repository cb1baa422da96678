"""The programs of the operating system that the test clusters need, and how to get them on Debian."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.errors import ClusterError

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Package:
    """A Debian package and a file or program by which it is known to be there."""

    name: str
    provides: str


PACKAGES = (
    Package("buildah", "buildah"),
    Package("busybox-static", "busybox"),
    Package("conntrack", "conntrack"),
    Package("containerd", "containerd"),
    Package("containernetworking-plugins", "/usr/lib/cni/bridge"),
    Package("gcc", "gcc"),
    Package("iproute2", "ip"),
    Package("iptables", "iptables"),
    Package("kmod", "modprobe"),
    Package("libc6-dev", "/usr/include/stdlib.h"),
    Package("mmdebstrap", "mmdebstrap"),
    Package("mount", "mount"),
    Package("nftables", "nft"),
    Package("openssl", "openssl"),
    Package("procps", "sysctl"),
    Package("runc", "runc"),
    Package("socat", "socat"),
    Package("util-linux", "nsenter"),
)


def is_there(package: Package) -> bool:
    """Return whether what a package provides is on this machine, from wherever it came."""
    if package.provides.startswith("/"):
        return Path(package.provides).exists()
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), _SYSTEM_PATH))
    return shutil.which(package.provides, path=path) is not None


def missing() -> list[str]:
    """Return the names of the packages that have to be installed."""
    return [package.name for package in PACKAGES if not is_there(package)]


def install() -> list[str]:
    """Install the missing packages and return their names.

    Raises ClusterError when this is not a Debian, not root, or apt-get fails.
    """
    names = missing()
    if not names:
        return []
    remedy = f"install these, or what your system calls them, yourself: {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise ClusterError(f"apt-get is not there, so nothing was installed: {remedy}")
    if os.geteuid() != 0:
        raise ClusterError(f"only root can install packages: {remedy}")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if subprocess.run(command, env=_unattended(), check=False).returncode != 0:
        # The usual cause is a package list that is missing or out of date.
        subprocess.run(["apt-get", "update"], check=False)
        if subprocess.run(command, env=_unattended(), check=False).returncode != 0:
            raise ClusterError(f"apt-get failed, see above: {remedy}")
    return names


def _unattended() -> dict[str, str]:
    return os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
