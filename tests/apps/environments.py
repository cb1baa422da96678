"""The virtual environments of the programs in docs/apps, one for each framework.

They are separate because the frameworks do not agree on pymilvus: LlamaIndex needs 2.6, LangChain and Haystack 3.
search.py needs none: its requirements are those that the tests have anyway.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from rich.console import Console

from tests.cluster.cache import cache_dir
from tests.engine.build_once import build_once
from tests.engine.uv_install import install, uv

APPS = Path(__file__).resolve().parents[2] / "docs" / "apps"
FRAMEWORKS = ("langchain", "llama-index", "haystack")


def ensure(framework: str, console: Console | None = None) -> Path:
    """Return the Python of a framework's environment. The first call makes it: 100 MB to 300 MB, a minute or less.

    Raises UvError if uv fails.
    """
    target = cache_dir() / "apps" / f"{framework}-{environment_key(framework)}"
    console = console or Console(stderr=True)
    return build_once(target, lambda partial: _make(framework, partial, console)) / "bin" / "python"


def environment_key(framework: str) -> str:
    """Hash what decides what is inside: the version of Python and the requirements."""
    digest = hashlib.sha256("{}.{}".format(*sys.version_info[:2]).encode())
    digest.update(b"\0" + requirements(framework).read_bytes())
    return digest.hexdigest()[:12]


def requirements(framework: str) -> Path:
    """The file that pins what the program imports."""
    return APPS / f"requirements-{framework}.txt"


def _make(framework: str, partial: Path, console: Console) -> None:
    console.print(f"Installing {requirements(framework).name}")
    uv("venv", "--quiet", "--no-project", "--relocatable", "--python", sys.executable, str(partial))
    python = ("--python", str(partial / "bin" / "python"))
    install([*python, "--requirements", str(requirements(framework)), "--compile-bytecode"], console)
