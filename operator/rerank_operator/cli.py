"""The command line: run the operator, or see without a cluster what it would make of a file."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console
from rich.syntax import Syntax

from rerank_operator import __version__
from rerank_operator.api import names
from rerank_operator.api.crd import build_crd
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.resources.autoscaler import build_autoscaler
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.disruption import build_disruption_budget
from rerank_operator.resources.publication import build_publication
from rerank_operator.resources.render import to_yaml
from rerank_operator.resources.revision import EngineImages, Facts, build_revision, revision_hash
from rerank_operator.resources.service import build_service
from rerank_operator.settings import Settings, SettingsError

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
_errors = Console(stderr=True)

File = Annotated[Path, typer.Argument(help="A YAML file with RerankService resources; - for standard input.")]
# Children carry the uid of their owner; a resource that is only a file has none yet.
_UNKNOWN_UID = "00000000-0000-0000-0000-000000000000"


def main() -> None:
    """Entry point of the `rerank-operator` command."""
    cli()


@cli.command()
def run() -> None:
    """Run the operator; it is configured by RERANK_OPERATOR_* variables."""
    settings = _settings()
    from rerank_operator.app import run as run_operator  # noqa: PLC0415 - kopf takes a second to import

    run_operator(settings)


@cli.command()
def render(file: File) -> None:
    """Print every object that the operator would make of the resources in FILE."""
    settings = _settings()
    images = EngineImages(gpu=settings.engine_image, cpu=settings.cpu_engine_image)
    objects = [child for reranker in _read(file) for child in _children(reranker, images)]
    _print(to_yaml(*objects), "yaml")


@cli.command()
def params(file: File) -> None:
    """Print the params.json that would be published for the resources in FILE."""
    for reranker in _read(file):
        owner = _owner(reranker)
        revision = revision_hash(reranker.spec)
        publication = build_publication(reranker, owner, Facts.of(reranker.spec), revision)
        _print(publication["data"]["params.json"], "json")


@cli.command(hidden=True)
def crd() -> None:
    """Print the CustomResourceDefinition."""
    _print(to_yaml(build_crd()), "yaml")


@cli.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


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
        _fail(f"{file}: {error.strerror}. Give the path of a YAML file, or - for standard input.")
    except yaml.YAMLError as error:
        _fail(f"{file} is not YAML: {error}")
    ours = [d for d in documents if isinstance(d, dict) and d.get("kind") == names.KIND]
    if not ours:
        _fail(f"{file} holds no {names.KIND}: add a document with apiVersion: {names.API_VERSION}, kind: {names.KIND}.")
    return [_parse(file, document) for document in ours]


def _parse(file: Path, document: dict[str, Any]) -> RerankService:
    if document.get("apiVersion") != names.API_VERSION:
        _fail(f"{file}: apiVersion {document.get('apiVersion')!r} is not known; use {names.API_VERSION}.")
    if isinstance(document.get("metadata"), dict):
        document["metadata"].setdefault("namespace", "default")
    try:
        reranker: RerankService = RerankService.model_validate(document)
    except ValidationError as error:
        lines = [_sentence(detail) for detail in error.errors()]
        _fail(f"{file} cannot be used:\n" + "\n".join(f"  {line}" for line in lines))
    return reranker


def _sentence(detail: Any) -> str:
    """The field, the value, and what would be right."""
    field = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{field}: unknown field (value {detail['input']!r}); remove it or correct its spelling."
    if detail["type"] == "missing":
        return f"{field}: required; add it."
    return f"{field}: {detail['msg']} (value {detail['input']!r})."


def _settings() -> Settings:
    try:
        return Settings.from_env(dict(os.environ))
    except SettingsError as error:
        _fail(str(error))


def _print(text: str, language: str) -> None:
    """Coloured for a person, plain for a pipe."""
    if sys.stdout.isatty():
        Console().print(Syntax(text, language, background_color="default"))
    else:
        typer.echo(text)


def _fail(message: str) -> NoReturn:
    _errors.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)
