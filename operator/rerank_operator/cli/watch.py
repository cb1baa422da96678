"""`watch`: follow a reranker until it serves, or until it is clear that waiting does not help."""

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rerank_operator.cli.cluster import (
    Context,
    Kubeconfig,
    Name,
    Namespace,
    ask_cluster,
    check_names,
    complaints,
    missing,
)
from rerank_operator.cli.output import (
    IN_VAIN,
    RIGHT,
    WRONG,
    Format,
    Output,
    ago,
    clean,
    is_terminal,
    program,
    say,
    say_json,
)
from rerank_operator.cli.standing import Object, Standing, standing_of
from rerank_operator.controller.times import rfc3339, seconds_of

if TYPE_CHECKING:
    from rerank_operator.clients.kube import KubeClient

Timeout = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Give up after this time. A large model loads for many minutes.")
]
_SPINNER_WIDTH: Final = 2


class Outcome(StrEnum):
    """How the waiting ended."""

    READY = "Ready"
    STALLED = "Stalled"
    DELETED = "Deleted"
    TIMEOUT = "Timeout"


_CODES: Final = {Outcome.READY: RIGHT, Outcome.STALLED: WRONG, Outcome.DELETED: WRONG, Outcome.TIMEOUT: IN_VAIN}


def watch(
    called: typer.Context,
    name: Name,
    *,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Timeout = 3600.0,
    output: Format = Output.TEXT,
) -> None:
    """Follow a reranker until it is Ready, or Stalled: then waiting does not help. Changes nothing.

    Exit code: 0 Ready, 1 Stalled or deleted, 2 the cluster could not be asked or has no such reranker, 3 timeout.

    Example: PROGRAM watch bge --namespace search --timeout 1800
    """
    check_names(name, namespace)
    telling: Telling = {Output.JSON: JsonLines}.get(output, OnTerminal if is_terminal() else TextLines)()

    async def follow(kube: "KubeClient") -> Outcome:
        place = namespace or kube.namespace
        outcome = await _follow(kube, place, name, telling.change, timeout)
        if telling.resource is None and outcome is Outcome.DELETED:
            raise await missing(kube, place, name)
        return outcome

    with complaints(), telling.shown():
        outcome = ask_cluster(follow, kubeconfig, context)
    telling.end(outcome, program(called))
    raise typer.Exit(_CODES[outcome])


async def _follow(
    kube: "KubeClient", namespace: str, name: str, tell: Callable[[Object], None], seconds: float
) -> Outcome:
    from rerank_operator.clients.kube import RERANKERS  # noqa: PLC0415 - takes most of a second to import

    try:
        async with asyncio.timeout(seconds), aclosing(kube.watch(RERANKERS, namespace, name)) as changes:
            async for resource in changes:
                tell(resource)
                if outcome := _outcome(standing_of(resource)):
                    return outcome
    except TimeoutError:
        return Outcome.TIMEOUT
    return Outcome.DELETED


def _outcome(standing: Standing) -> Outcome | None:
    if standing.ready:
        return Outcome.READY
    return Outcome.STALLED if standing.stalled else None


class Telling:
    """Tells what changes and how it ended; `resource` is the reranker as it was seen last."""

    def __init__(self) -> None:
        self.resource: Object | None = None
        self._started = time.monotonic()

    @property
    def elapsed(self) -> str:
        """How long it has been followed."""
        return ago(time.monotonic() - self._started)

    def shown(self) -> AbstractContextManager[object]:
        """Around the whole time of watching."""
        return nullcontext()

    def change(self, resource: Object) -> None:
        """The reranker is now like this."""
        self.resource = resource

    def end(self, outcome: Outcome, program_name: str) -> None:
        """Say how it ended, and what to do about it."""
        if self.resource is None:
            say(f"{outcome} after {self.elapsed}: the API server did not answer", "red")
            return
        metadata, status = self.resource["metadata"], self.resource.get("status") or {}
        standing = standing_of(self.resource)
        if outcome is Outcome.READY:
            published = f"{status.get('endpoint')}, ConfigMap {status.get('configMapName')}"
            say(f"{outcome} after {self.elapsed}: {published}", "green")
            return
        if outcome is Outcome.DELETED:
            say(f"{outcome} after {self.elapsed}: there is no reranker {metadata['name']} any more", "red")
            return
        say(f"{outcome} after {self.elapsed}: {standing.reason}", "red")
        say(f"  seen    {standing.seen}")
        if standing.remedy:
            say(f"  remedy  {standing.remedy}")
        say(f"  more    {program_name} doctor {metadata['name']} --namespace {metadata['namespace']}")


class TextLines(Telling):
    """One line for each change."""

    def __init__(self) -> None:
        super().__init__()
        self._said = ""

    def change(self, resource: Object) -> None:
        """Print a line where it differs from the one before."""
        super().change(resource)
        line = _line(standing_of(resource))
        if line != self._said:
            say(f"{rfc3339(time.time())}  {line}")
            self._said = line


class OnTerminal(Telling):
    """One line that is always up to date."""

    def __init__(self) -> None:
        super().__init__()
        self._spinner = Spinner("dots")

    def shown(self) -> AbstractContextManager[object]:
        """Keep the line alive."""
        return Live(get_renderable=self._now, refresh_per_second=8, transient=True)

    def _now(self) -> Spinner:
        line = "asking the cluster"  # until the first answer
        if self.resource is not None:
            standing = standing_of(self.resource)
            since = f", for {ago(time.time() - seconds_of(standing.since))}" if standing.since else ""
            line = clean(_line(standing)) + since
        text = Text(f"{self.elapsed}  {line}")
        text.truncate(shutil.get_terminal_size().columns - _SPINNER_WIDTH, overflow="ellipsis")
        self._spinner.update(text=text)
        return self._spinner


class JsonLines(Telling):
    """One JSON object in a line for each change, with the keys that docs/cli.md promises."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, Any] = {}

    def change(self, resource: Object) -> None:
        """Print an object where it differs from the one before."""
        super().change(resource)
        self._say(_outcome(standing_of(resource)))

    def end(self, outcome: Outcome, program_name: str) -> None:  # noqa: ARG002 - there are no words to a person
        """Print how it ended, unless the last change has said it."""
        self._say(outcome)

    def _say(self, outcome: Outcome | None) -> None:
        told = {"outcome": outcome and outcome.value, **_told(self.resource or {})}
        if told != self._said:
            say_json({"at": rfc3339(time.time()), **told}, lines=True)
            self._said = told


def _told(resource: Object) -> dict[str, Any]:
    if not resource:
        return {}
    standing, metadata, status = standing_of(resource), resource["metadata"], resource.get("status") or {}
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "ready": standing.ready,
        "stalled": standing.stalled,
        "reason": standing.reason,
        "seen": standing.seen,
        "remedy": standing.remedy,
        "step": standing.step or None,
        "detail": standing.detail or None,
        "since": standing.since or None,
        "endpoint": status.get("endpoint"),
        "configMapName": status.get("configMapName"),
    }


def _line(standing: Standing) -> str:
    """Reason and step, in place of the step what was seen."""
    doing = f"{standing.step}: {standing.detail}" if standing.detail else standing.step
    return f"{standing.reason}  {doing or standing.seen}"
