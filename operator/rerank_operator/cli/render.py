"""`render`: what the operator would apply for the resources of a file, without a cluster."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.cli.output import WRONG, complain, note, show
from rerank_operator.cli.reading import File, Namespace, owner_of, read_rerankers
from rerank_operator.cli.settings import read_settings
from rerank_operator.resources.acceptance import refusal_of, warnings_of
from rerank_operator.resources.autoscaler import build_autoscaler
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.disruption import build_disruption_budget
from rerank_operator.resources.model_volume import build_claim, wants_claim
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.render import to_yaml
from rerank_operator.resources.revision import EngineImages, Facts, build_revision, facts_of, revision_hash
from rerank_operator.resources.route import build_route
from rerank_operator.resources.service import build_service

Image = Annotated[
    str | None, typer.Option(metavar="IMAGE", help="vLLM image of resources that name none; default: the operator's.")
]
Revision = Annotated[bool, typer.Option("--revision", help="Also the ControllerRevision, which repeats the pod.")]


def render(file: File, *, namespace: Namespace = None, image: Image = None, revision: Revision = False) -> None:
    """Print every object that the operator would make of the resources in FILE.

    What the catalog refuses is named, and then nothing is printed. The API server's own rules are checked by `plan`.

    Exit code: 0 printed, 1 the file cannot be used, or a resource is refused.

    Example: PROGRAM render manifests/samples/minimal.yaml
    """
    images = default_images(image)
    rerankers = read_rerankers(file, namespace)
    accepted = [_is_accepted(reranker, images) for reranker in rerankers]
    if not all(accepted):
        raise typer.Exit(WRONG)
    children = [child for reranker in rerankers for child in _children(reranker, images)]
    show(to_yaml(*(c for c in children if revision or c["kind"] != "ControllerRevision")), "yaml")


def default_images(image: str | None) -> EngineImages:
    """Images for resources that name none: this one, else those of the settings."""
    given = read_settings().engine_images
    return EngineImages(dict.fromkeys(given, image) if image else given)


def _is_accepted(reranker: RerankService, images: EngineImages) -> bool:
    """Say what the catalog warns of, and why it refuses."""
    subject = f"{names.KIND} {reranker.metadata.name}"
    for warning in warnings_of(reranker.spec):
        note(f"{subject}: {warning}")
    refusal = None if reranker.spec.external else refusal_of(reranker.spec, images.of(reranker.spec))
    if refusal is None:
        return True
    reason, seen = refusal
    complain(f"{subject} is refused: {reason}: {seen}")
    return False


def _children(reranker: RerankService, images: EngineImages) -> Iterator[dict[str, Any]]:
    """In the order in which the operator creates them; nothing is measured yet."""
    spec, owner = reranker.spec, owner_of(reranker)
    revision = revision_hash(spec)
    if spec.external:
        yield build_publication(reranker, owner, Facts.of(spec), revision)
        return
    stored = build_revision(reranker, owner, revision, images, number=1)
    replicas = 0 if spec.suspend else int(spec.replicas)
    if wants_claim(spec):
        yield build_claim(reranker, owner)
    yield stored
    yield build_files_config_map(stored)
    yield build_deployment(stored, replicas)
    yield build_service(reranker, owner, revision)
    if route := build_route(reranker, owner):
        yield route
    if replicas > 1:
        yield build_disruption_budget(reranker, owner, revision)
    if spec.autoscaling and not spec.suspend:
        yield build_autoscaler(reranker, owner)
    yield build_publication(reranker, owner, facts_of(stored), revision)
