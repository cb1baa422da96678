"""Render the Helm chart with the real Helm."""

import functools
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.binaries import binary

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "rerank-operator"
RELEASE = "rerank-operator"
NAMESPACE = "rerank-operator-system"

Object = dict[str, Any]


class ChartError(Exception):
    """Helm refuses the chart or its values; the message is Helm's own."""


def helm(*arguments: str) -> str:
    """Run Helm and return what it prints.

    Raises ChartError with its error output, and MissingBinaryError when Helm is not built yet.
    """
    command = [str(binary("helm")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ChartError(done.stderr.strip())
    return done.stdout


@functools.cache
def template(settings: tuple[str, ...] = (), chart: Path = CHART) -> str:
    """Return the rendered chart as text; `settings` are arguments of `--set`."""
    flags = [argument for setting in settings for argument in ("--set", setting)]
    return helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, *flags)


def render(*settings: str) -> list[Object]:
    """Return the rendered objects; `settings` are arguments of `--set`."""
    return [document for document in yaml.safe_load_all(template(settings)) if document]


def of_kind(objects: Sequence[Object], kind: str) -> list[Object]:
    """Return the objects of one kind, in the order of the chart."""
    return [candidate for candidate in objects if candidate["kind"] == kind]


def only(objects: Sequence[Object], kind: str) -> Object:
    """Return the one object of a kind; raise ValueError when there are none or several."""
    (found,) = of_kind(objects, kind)
    return found
