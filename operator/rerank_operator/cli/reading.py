"""Read rerankers from a file, as `kubectl apply` would take them."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from pydantic import ValidationError

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.cli.output import WRONG, fail, note

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A YAML file with RerankService resources; - for standard input.")
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace of the resources that name none; default: default.")
]
Object = dict[str, Any]
# Children carry the uid of their owner; a resource that is only a file has none yet.
_UNKNOWN_UID: Final = "00000000-0000-0000-0000-000000000000"
_NAME: Final = "lower-case letters, digits and dashes, starting with a letter"


def read_documents(file: Path, code: int = WRONG) -> list[Object]:
    """The rerankers of a file as they are written; of a List its items. Other kinds are left out with a note.

    Ends with exit code `code` when there are none, or no YAML.
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        documents = [d for d in yaml.safe_load_all(text) if d]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        fail(f"{file}: {reason}. Give the path of a YAML file, or - for standard input.", code)
    except yaml.YAMLError as error:
        fail(f"{file} is not YAML: {error}", code)
    objects = [obj for document in documents for obj in _items(document)]
    ours = [obj for obj in objects if obj.get("kind") == names.KIND]
    if not ours:
        wanted = f"apiVersion: {names.API_VERSION}, kind: {names.KIND}"
        fail(f"{file} holds no {names.KIND}: add a document with {wanted}.", code)
    for obj in objects:
        if obj not in ours:
            name = (obj.get("metadata") or {}).get("name") or "without a name"
            note(f"{file}: {obj.get('kind') or 'a document of no kind'} {name} is left out.")
    return ours


def parse(file: Path, document: Object, namespace: str, code: int = WRONG) -> RerankService:
    """A reranker of the file; `namespace` is for one that names none. The rules of the CRD are not asked.

    Ends with exit code `code` and one line for each wrong field.
    """
    if document.get("apiVersion") != names.API_VERSION:
        fail(f"{file}: apiVersion {document.get('apiVersion')!r} is not known; use {names.API_VERSION}.", code)
    metadata = document.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        fail(f"{file}: metadata.name: required; add {_NAME}.", code)
    try:
        # What an operator wrote into the status is no part of what is wanted.
        given = {key: value for key, value in document.items() if key != "status"}
        located = {**given, "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace}}
        reranker: RerankService = RerankService.model_validate(located)
    except ValidationError as error:
        lines = [_sentence(detail) for detail in error.errors()]
        fail(f"{file} cannot be used:\n" + "\n".join(f"  {line}" for line in lines), code)
    return reranker


def namespace_of(file: Path, document: Object, given: str | None, code: int = WRONG) -> str | None:
    """The namespace that a document or the option names, None when neither does; ends when they differ."""
    metadata = document.get("metadata")
    written = metadata.get("namespace") if isinstance(metadata, dict) else None
    if given and written and given != written:
        fail(f"{file}: metadata.namespace {written!r} is not --namespace {given!r}: give one of them.", code)
    return written or given


def read_rerankers(file: Path, namespace: str | None = None) -> list[RerankService]:
    """The rerankers of a file; those without a namespace get this one, else `default`."""
    documents = read_documents(file)
    return [parse(file, d, namespace_of(file, d, namespace) or "default") for d in documents]


def owner_of(reranker: RerankService) -> dict[str, Any]:
    """A reranker as its children refer to it."""
    metadata = {"name": reranker.metadata.name, "uid": reranker.metadata.uid or _UNKNOWN_UID}
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata}


def _items(document: Any) -> list[Object]:
    if not isinstance(document, dict):
        return [{"kind": None}]
    if document.get("kind") == "List":
        return [item for item in document.get("items") or [] if isinstance(item, dict)]
    return [document]


def _sentence(detail: Any) -> str:
    """The field, the value, and what would be right."""
    field = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{field}: unknown field (value {detail['input']!r}); remove it or correct its spelling."
    if detail["type"] == "missing":
        return f"{field}: required; add it."
    return f"{field}: {detail['msg']} (value {detail['input']!r})."
