"""Build the programs of the test clusters into the cache, each once per content of its sources.

Every program lies in a folder named after a hash of what it is built from, so that two checkouts of different
versions share what is equal and never overwrite each other.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import versions
from tests.cluster.cache import cache_dir
from tests.cluster.errors import BuildError, MissingBinaryError

SOURCES = Path(__file__).parent
GO_TREE = SOURCES / "go"

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """One executable: a Go package in a module under `go/`, or a C file."""

    name: str
    folder: Path
    package: str = "."
    variables: tuple[str, ...] = ()
    """Go string variables to set, as PATH.NAME=VALUE."""
    links: tuple[str, ...] = ()
    """Names under which the program is started, symbolic links beside it."""
    usual_seconds: int = 1
    """How long a build takes with two idle processors, an empty build cache, and the modules downloaded."""

    def key(self) -> str:
        """Return a hash of everything that shapes the executable."""
        digest = hashlib.sha256(repr((self.package, self.variables, platform.machine())).encode())
        sources = {*self.folder.glob("go.*"), *(self.folder / self.package).iterdir()}
        for source in sorted(path for path in sources if path.is_file()):
            digest.update(source.relative_to(self.folder).as_posix().encode() + b"\0" + source.read_bytes())
        return digest.hexdigest()[:12]

    def path(self) -> Path:
        """Return where the executable is, or will be once it is built."""
        return cache_dir() / "bin" / f"{self.name}-{self.key()}" / self.name


def _kubernetes_version() -> tuple[str, ...]:
    major, minor, _ = versions.KUBERNETES.split(".")
    values = {
        "gitVersion": f"v{versions.KUBERNETES}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "module",
        "buildDate": "2026-01-01T00:00:00Z",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"{package}.{name}={value}" for package in packages for name, value in values.items())


PROGRAMS = (
    Program("pause", SOURCES / "pause"),
    Program(
        "kubernetes",
        GO_TREE / "components",
        "./kubernetes",
        variables=_kubernetes_version(),
        links=(
            "kube-apiserver",
            "kube-controller-manager",
            "kube-proxy",
            "kube-scheduler",
            "kubectl",
            "kubelet",
        ),
        usual_seconds=330,
    ),
    Program("fakegpu", GO_TREE / "components", "./fakegpu", usual_seconds=1),
    Program("etcd", GO_TREE / "etcd", usual_seconds=30),
    Program("coredns", GO_TREE / "coredns", usual_seconds=35),
    Program(
        "helm",
        GO_TREE / "helm",
        variables=(f"helm.sh/helm/v4/internal/version.version=v{versions.HELM}",),
        usual_seconds=50,
    ),
)


def program(name: str) -> Program:
    """Return the program that `name` is, or is a link to."""
    for candidate in PROGRAMS:
        if name == candidate.name or name in candidate.links:
            return candidate
    known = ", ".join(sorted(candidate.name for candidate in PROGRAMS))
    raise ValueError(f"unknown program {name!r}: known are {known}")


def binary(name: str) -> Path:
    """Return the executable started under `name`, such as "etcd" or "kubectl".

    Raises MissingBinaryError when it is not built: building takes minutes, so no test does it on the side.
    """
    found = program(name)
    path = found.path().with_name(name)
    if not path.exists():
        raise MissingBinaryError(f"{path} is not built yet: run `python -m tests.cluster binaries {found.name}`")
    return path


def missing(names: Sequence[str] = ()) -> list[Program]:
    """Return the programs among `names` (none given: all) that have to be built."""
    wanted = [program(name) for name in names] or list(PROGRAMS)
    return [candidate for candidate in wanted if not candidate.path().exists()]


def build(target: Program, on_line: OnLine) -> None:
    """Build one program unless it is there; `on_line` gets each line that the compiler prints.

    Raises BuildError with the end of the compiler's output.
    """
    final = target.path().parent
    with _one_builder_at_a_time():
        if target.path().exists():
            return
        with tempfile.TemporaryDirectory(prefix=".building-", dir=final.parent) as folder:
            unfinished = Path(folder) / final.name
            unfinished.mkdir()
            _compile(target, unfinished / target.name, on_line)
            for link in target.links:
                (unfinished / link).symlink_to(target.name)
            unfinished.rename(final)


def _compile(target: Program, output: Path, on_line: OnLine) -> None:
    if target.folder.is_relative_to(GO_TREE):
        flags = " ".join(["-s -w", *(f"-X {variable}" for variable in target.variables)])
        command = ["go", "build", "-v", "-trimpath", "-ldflags", flags, "-o", str(output), target.package]
    else:
        command = ["gcc", "-static", "-Os", "-s", "-o", str(output), f"{target.name}.c"]
    if shutil.which(command[0]) is None:
        raise BuildError(f"{target.name} needs {command[0]!r}, which is not in PATH: install it")
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=target.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as compiler:
        for line in compiler.stdout or ():
            lines.append(line.rstrip())
            on_line(line.rstrip())
    if compiler.returncode != 0:
        end = "\n".join(lines[-20:])
        raise BuildError(f"failed to build {target.name} (`{command[0]}` in {target.folder}):\n{end}")


@contextmanager
def _one_builder_at_a_time() -> Iterator[None]:
    folder = cache_dir() / "bin"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
