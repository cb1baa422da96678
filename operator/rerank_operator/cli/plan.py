"""`plan`: what would become of a cluster if the resources of a file were applied. Changes nothing."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rerank_operator.api import names
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.api.v1alpha1 import RerankService, Strategy
from rerank_operator.cli import fit
from rerank_operator.cli.cluster import Context, Kubeconfig, Right, ask_cluster, complaints
from rerank_operator.cli.differences import differences
from rerank_operator.cli.output import RIGHT, UNUSABLE, WRONG, Format, Output, say_json
from rerank_operator.cli.plan_text import tell
from rerank_operator.cli.reading import File, namespace_of, parse, read_documents
from rerank_operator.cli.render import Image, default_images
from rerank_operator.cli.trial import would_be
from rerank_operator.clients.errors import ApiRejected, ObjectInvalid
from rerank_operator.engine import command, devices
from rerank_operator.resources.acceptance import refusal_of, warnings_of
from rerank_operator.resources.revision import EngineImages, revision_hash

if TYPE_CHECKING:
    from rerank_operator.cli.outlook import Installed, Outlook
    from rerank_operator.clients.kube import KubeClient

Object = dict[str, Any]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace of the resources that name none; default: the context's."),
]
_HOW: Final = {
    Strategy.AUTO: "beside those that serve, or in their place where the scheduler finds no accelerator",
    Strategy.BLUE_GREEN: "beside those that serve",
    Strategy.RECREATE: "in place of those that serve, which go first",
}


def plan(
    file: File,
    *,
    namespace: Namespace = None,
    image: Image = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    """Say what applying the resources in FILE would change: children, revision, pods, accelerators. Changes nothing.

    The API server is asked with a dry run, so its rules count. It needs the right to write what it does not write.

    Exit code: 0 nothing would change, 1 something would, 2 a resource is refused, or the cluster could not be asked.

    Example: PROGRAM plan bge.yaml --namespace search
    """
    images = default_images(image)
    documents = read_documents(file, UNUSABLE)

    async def examine(kube: "KubeClient") -> list[Object]:
        located = [_locate(file, document, namespace, kube.namespace) for document in documents]
        return [await _examine(kube, document, reranker, images) for document, reranker in located]

    with complaints():
        reports = ask_cluster(examine, kubeconfig, context)
    if output is Output.JSON:
        say_json(reports)
    else:
        for report in reports:
            tell(report)
    raise typer.Exit(max(_code(report) for report in reports))


def _locate(file: Path, document: Object, given: str | None, default: str) -> tuple[Object, RerankService]:
    """A document with its namespace, and what it says."""
    namespace = namespace_of(file, document, given, UNUSABLE) or default
    reranker = parse(file, document, namespace, UNUSABLE)
    wanted = {key: value for key, value in document.items() if key != "status"}
    return {**wanted, "metadata": {**document["metadata"], "namespace": namespace}}, reranker


async def _examine(kube: "KubeClient", document: Object, reranker: RerankService, images: EngineImages) -> Object:
    """Everything that would become of one resource, with the keys that docs/cli.md promises."""
    report = {**_empty(reranker), "warnings": warnings_of(reranker.spec)}
    try:
        live, stored = await would_be(kube, document)
    except ObjectInvalid as error:
        return {**report, "refused": _refused(Reason.INVALID_SPEC, str(error))}
    final = RerankService.model_validate({key: value for key, value in stored.items() if key != "status"})
    children, installed = await _children(kube, stored)
    is_new = not _is_stored(final, children)
    image = images.of(final.spec)
    if is_new and not final.spec.external and (refusal := refusal_of(final.spec, image)):
        return {**report, "refused": _refused(*refusal)}
    outlook = await _foresee(kube, stored, children, images, installed)
    if is_new and not final.spec.engine.image and not final.spec.external:
        said = f"The image {image} is the default of this program; that of the operator may differ: give --image."
        report["warnings"].append(said)
    if outlook.given_up:
        reason, seen = outlook.given_up
        report["warnings"].append(f"Revision {outlook.after} was given up before: {reason}: {seen}")
    diff = differences(_spec_of(live), _spec_of(stored)) if live else []
    return {
        **report,
        "action": "create" if live is None else "change" if diff else "unchanged",
        "diff": diff,
        "revision": {"before": outlook.before, "after": outlook.after},
        "pods": _pods(outlook, final),
        "children": [dataclasses.asdict(child) for child in outlook.children],
        "accelerators": await _accelerators(kube, outlook, reranker),
        "memory": _memory(final),
    }


async def _children(kube: "KubeClient", resource: Object) -> tuple[list[Object], "Installed"]:
    """What there is with the labels of a reranker, and what the cluster has installed."""
    from rerank_operator.cli.outlook import Installed  # noqa: PLC0415 - takes most of a second to import
    from rerank_operator.clients import kube as k  # noqa: PLC0415

    installed = Installed(await kube.has_keda(), await kube.has_gateway_api())
    others = {k.RERANKERS, k.PODS, k.SECRETS, k.EVENTS}
    others |= set() if installed.keda else {k.SCALED_OBJECTS}
    others |= set() if installed.gateway_api else {k.HTTP_ROUTES}
    namespace, name = resource["metadata"]["namespace"], resource["metadata"]["name"]
    found: list[Object] = []
    for kind in (kind for kind in k.KINDS.values() if kind not in others):
        async for page, _ in kube.pages(kind, namespace, f"{names.LABEL_RERANKER}={name}"):
            found += page
    return found, installed


def _is_stored(reranker: RerankService, children: list[Object]) -> bool:
    """Whether the revision is there already: then it is used as it is, whatever this version would make of it."""
    name = names.revision_name(reranker.metadata.name, revision_hash(reranker.spec))
    return any((child["kind"], child["metadata"]["name"]) == ("ControllerRevision", name) for child in children)


async def _foresee(
    kube: "KubeClient", resource: Object, live: list[Object], images: EngineImages, installed: "Installed"
) -> "Outlook":
    from rerank_operator.cli.outlook import Action, foresee  # noqa: PLC0415 - takes most of a second to import
    from rerank_operator.clients.kube import KINDS  # noqa: PLC0415

    outlook = foresee(resource, live, images, installed)
    namespace = resource["metadata"]["namespace"]
    children = []
    for child in outlook.children:
        is_taken = child.action is Action.CREATE and await kube.get(KINDS[child.kind], namespace, child.name)
        children.append(dataclasses.replace(child, action=Action.CONFLICT) if is_taken else child)
    return dataclasses.replace(outlook, children=tuple(children))


async def _accelerators(kube: "KubeClient", outlook: "Outlook", reranker: RerankService) -> Object:
    from rerank_operator.clients.kube import NODES, PODS  # noqa: PLC0415 - takes most of a second to import

    if outlook.stored is None:
        return {"perPod": {}, "claims": [], "newPods": 0, "rooms": [], "unknown": None}
    template = outlook.stored["data"]["template"]
    asked = fit.asked(template)
    found: Object = {"perPod": asked, "claims": fit.claims(template), "newPods": outlook.new_pods, "rooms": []}
    if not asked:
        return {**found, "unknown": None}
    try:
        nodes, pods = [[obj async for page, _ in kube.pages(kind, None) for obj in page] for kind in (NODES, PODS)]
    except ApiRejected as error:
        right = Right.missing_in(str(error))
        return {**found, "unknown": f"no right to {right.verb} {right.resource}" if right else str(error)}
    rooms = fit.rooms(template, (reranker.metadata.namespace or "", reranker.metadata.name), nodes, pods)
    return {**found, "rooms": [_room(room) for room in rooms], "unknown": None}


def _room(room: fit.Room) -> Object:
    return {
        "resource": room.resource,
        "nodes": room.nodes,
        "allocatable": room.allocatable,
        "free": room.free,
        "own": room.own,
        "tainted": room.tainted,
        "podsThatFit": room.pods_that_fit,
    }


def _memory(reranker: RerankService) -> Object:
    """GiB that a model pod needs of each accelerator, and those that the spec says it has."""
    spec = reranker.spec
    if spec.external:
        return {"needGib": None, "givenGib": None}
    demand, there = command.demand(spec, command.entry_of(spec)), devices.card_gib(spec)
    if demand is not None and there is not None:
        demand = demand.on(there)
    return {"needGib": None if demand is None else round(demand.wanted, 1), "givenGib": there}


def _pods(outlook: "Outlook", reranker: RerankService) -> Object:
    is_new = outlook.before != outlook.after
    restarts = is_new and outlook.before is not None and outlook.pods_after > 0
    return {
        "before": outlook.pods_before,
        "after": outlook.pods_after,
        "restart": restarts,
        "strategy": reranker.spec.rollout.strategy.value,
        "how": _HOW[reranker.spec.rollout.strategy] if restarts else None,
    }


def _spec_of(resource: Object) -> Object:
    return {"metadata": {}, "spec": resource["spec"]}


def _refused(reason: Reason, seen: str) -> Object:
    return {"reason": reason.value, "seen": seen, "remedy": MEANINGS[reason].remedy}


def _empty(reranker: RerankService) -> Object:
    return {
        "name": reranker.metadata.name,
        "namespace": reranker.metadata.namespace,
        "action": "refused",
        "refused": None,
        "warnings": [],
        "diff": [],
        "revision": None,
        "pods": None,
        "children": [],
        "accelerators": None,
        "memory": None,
    }


def _code(report: Object) -> int:
    actions = {child["action"] for child in report["children"]}
    if report["refused"] or "conflict" in actions:
        return UNUSABLE
    return RIGHT if {report["action"], *actions} == {"unchanged"} else WRONG
