"""What the operator would make of a file, without a cluster: render, params, crd."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.syntax import Syntax

from rerank_operator.api import names
from rerank_operator.api.crd import build_crd
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.cli.output import fail
from rerank_operator.cli.settings import read_settings
from rerank_operator.resources.autoscaler import build_autoscaler
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.disruption import build_disruption_budget
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.render import to_yaml
from rerank_operator.resources.revision import EngineImages, Facts, build_revision, revision_hash
from rerank_operator.resources.service import build_service

File = Annotated[Path, typer.Argument(help="A YAML file with RerankService resources; - for standard input.")]
# Children carry the uid of their owner; a resource that is only a file has none yet.
_UNKNOWN_UID: Final = "00000000-0000-0000-0000-000000000000"


def render(file: File) -> None:
    """Print every object that the operator would make of the resources in FILE.

    Example: PROGRAM render manifests/samples/minimal.yaml
    """
    settings = read_settings()
    images = EngineImages(gpu=settings.engine_image, cpu=settings.cpu_engine_image)
    objects = [child for reranker in _read(file) for child in _children(reranker, images)]
    _print(to_yaml(*objects), "yaml")


def params(file: File) -> None:
    """Print the params.json that would be published for the resources in FILE.

    Example: PROGRAM params manifests/samples/minimal.yaml
    """
    for reranker in _read(file):
        owner = _owner(reranker)
        revision = revision_hash(reranker.spec)
        publication = build_publication(reranker, owner, Facts.of(reranker.spec), revision)
        _print(publication["data"]["params.json"], "json")


def crd() -> None:
    """Print the CustomResourceDefinition.

    Example: PROGRAM crd
    """
    _print(to_yaml(build_crd()), "yaml")


def _children(reranker: RerankService, images: EngineImages) -> Iterator[dict[str, Any]]:
    owner = _owner(reranker)
    revision = revision_hash(reranker.spec)
    stored = build_revision(reranker, owner, revision, images, number=1)
    yield stored
    yield build_files_config_map(stored)
    yield build_deployment(stored, 0 if reranker.spec.suspend else int(reranker.spec.replicas))
    yield build_service(reranker, owner, revision)
    if reranker.spec.replicas > 1 and not reranker.spec.suspend:
        yield build_disruption_budget(reranker, owner, revision)
    if reranker.spec.autoscaling and not reranker.spec.suspend:
        yield build_autoscaler(reranker, owner)
    yield build_publication(reranker, owner, Facts.of(reranker.spec), revision)


def _owner(reranker: RerankService) -> dict[str, Any]:
    metadata = {"name": reranker.metadata.name, "uid": reranker.metadata.uid or _UNKNOWN_UID}
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata}


def _read(file: Path) -> list[RerankService]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        documents = [d for d in yaml.safe_load_all(text) if d]
    except OSError as error:
        fail(f"{file}: {error.strerror}. Give the path of a YAML file, or - for standard input.")
    except yaml.YAMLError as error:
        fail(f"{file} is not YAML: {error}")
    ours = [d for d in documents if isinstance(d, dict) and d.get("kind") == names.KIND]
    if not ours:
        fail(f"{file} holds no {names.KIND}: add a document with apiVersion: {names.API_VERSION}, kind: {names.KIND}.")
    return [_parse(file, document) for document in ours]


def _parse(file: Path, document: dict[str, Any]) -> RerankService:
    if document.get("apiVersion") != names.API_VERSION:
        fail(f"{file}: apiVersion {document.get('apiVersion')!r} is not known; use {names.API_VERSION}.")
    if isinstance(document.get("metadata"), dict):
        document["metadata"].setdefault("namespace", "default")
    try:
        reranker: RerankService = RerankService.model_validate(document)
    except ValidationError as error:
        lines = [_sentence(detail) for detail in error.errors()]
        fail(f"{file} cannot be used:\n" + "\n".join(f"  {line}" for line in lines))
    return reranker


def _sentence(detail: Any) -> str:
    """The field, the value, and what would be right."""
    field = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{field}: unknown field (value {detail['input']!r}); remove it or correct its spelling."
    if detail["type"] == "missing":
        return f"{field}: required; add it."
    return f"{field}: {detail['msg']} (value {detail['input']!r})."


def _print(text: str, language: str) -> None:
    """Coloured for a person, plain for a pipe."""
    if sys.stdout.isatty():
        Console().print(Syntax(text, language, background_color="default"))
    else:
        typer.echo(text)
