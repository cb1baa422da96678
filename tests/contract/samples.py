"""The sample resources, and what the API server promises to say about the invalid ones."""

from pathlib import Path
from typing import Any

import yaml

from tests.contract.chart import ROOT

SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
INVALID_SAMPLES = sorted((ROOT / "manifests" / "samples" / "invalid").glob("*.yaml"))

_PROMISE = "# refused: "


def read(file: Path) -> dict[str, Any]:
    """Return the one resource in a file."""
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


def promise(file: Path) -> str:
    """Return the message, or its distinctive part, with which an invalid sample is refused."""
    first_line = file.read_text(encoding="utf-8").splitlines()[0]
    if not first_line.startswith(_PROMISE):
        raise ValueError(f"{file.name} starts with {first_line!r}: its first line must be '{_PROMISE}MESSAGE'")
    return first_line.removeprefix(_PROMISE)
