"""Reach the cluster that a person means, and say in one sentence why that fails."""

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from rerank_operator.api import names
from rerank_operator.cli.output import UNUSABLE, fail
from rerank_operator.clients.errors import ApiRejected, ClientError, NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rerank_operator.clients.kube import KubeClient

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the RerankService.")]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Its namespace; default: that of the kubeconfig's context, else default."),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Default: KUBECONFIG, else ~/.kube/config; in a pod its own account."),
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig; default: the current one.")]

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FORBIDDEN: Final = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Right:
    """A right that is missing; `resource` is plural, with its group."""

    verb: str
    resource: str
    namespace: str
    user: str

    def __str__(self) -> str:
        return f"{self.user} may not {self.verb} {self.resource} in namespace {self.namespace}"

    @classmethod
    def missing_in(cls, message: str) -> "Right | None":
        """Read the API server's refusal; None when it is about something else."""
        found = _FORBIDDEN.search(message)
        if found is None:
            return None
        resource = ".".join(part for part in (found["resource"], found["group"]) if part)
        return cls(found["verb"], resource, found["namespace"] or "*", found["user"])


class Missing(ClientError):  # noqa: N818 - reads as what happened
    """The reranker does not exist. The text says which ones do."""


@contextlib.contextmanager
def complaints() -> Iterator[None]:
    """End with exit code 2 and the remedy when the cluster cannot be asked."""
    try:
        yield
    except ClientError as error:
        fail(explain(error), UNUSABLE)


def ask_cluster(work: "Callable[[KubeClient], Awaitable[T]]", kubeconfig: Path | None, context: str | None) -> T:
    """Connect, do the work, close. Raises the errors of `clients.errors`."""
    return asyncio.run(_ask(work, None if kubeconfig is None else str(kubeconfig), context))


async def _ask(work: "Callable[[KubeClient], Awaitable[T]]", kubeconfig: str | None, context: str | None) -> T:
    from rerank_operator.clients.kube import KubeClient  # noqa: PLC0415 - takes most of a second to import

    kube = await KubeClient.connect(kubeconfig, context)
    try:
        return await work(kube)
    finally:
        await kube.close()


def explain(error: ClientError) -> str:
    """What went wrong with the cluster, and the remedy."""
    if isinstance(error, Missing):
        return str(error)
    if isinstance(error, ApiRejected) and (right := Right.missing_in(str(error))):
        return f"{right}. Bind a Role to {right.user} that grants it, or use another --context."
    if isinstance(error, NotFound):
        return (
            f"The API server knows no {names.KIND}. Install rerank-operator in this cluster, or use another --context."
        )
    return f"{error}. Check --kubeconfig and --context, and that kubectl reaches the cluster: kubectl cluster-info."


def check_names(name: str, namespace: str | None) -> None:
    """Refuse what can be no name before anybody is asked."""
    for field, value in (("NAME", name), ("--namespace", namespace)):
        if value is not None and not _LABEL.fullmatch(value):
            fail(
                f"{field} {value!r} is no name: lower-case letters, digits and dashes, like {names.KIND} bge.", UNUSABLE
            )


async def missing(kube: "KubeClient", namespace: str, name: str) -> Missing:
    """What to say of a reranker that does not exist: those that do are named, where they may be listed."""
    from rerank_operator.clients.kube import RERANKERS  # noqa: PLC0415

    said = f"{names.KIND} {name!r} does not exist in namespace {namespace!r}."
    others: list[Any] = []
    try:
        async for page, _ in kube.pages(RERANKERS, namespace):
            others += page
    except ApiRejected:
        return Missing(f"{said} Check its name and --namespace.")
    if not others:
        return Missing(f"{said} There is none in this namespace: kubectl get rrs --all-namespaces lists all.")
    known = ", ".join(sorted(other["metadata"]["name"] for other in others))
    return Missing(f"{said} There are: {known}.")
