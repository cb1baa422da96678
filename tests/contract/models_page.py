"""Write docs/models.md from the catalog: `python -m tests.contract.models_page [--write]`.

Without --write nothing is written; the exit code is 1 when the page is stale.
"""

import typing
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from rerank_operator.catalog.entry import Entry, Kind
from rerank_operator.catalog.models import entries
from rerank_operator.cli.model_report import KINDS, LEVELS, SCORES, Status, gib, languages, need_of, status_of, versions
from tests.contract.chart import ROOT
from tests.contract.reasons_page import cell, update

MODELS_PAGE = ROOT / "docs" / "models.md"

_HEAD = """\
<!-- Generated from operator/rerank_operator/catalog/models by make generate; do not edit. -->

# Models

The name of one of these models in `spec.model.name` is enough: the operator knows how vLLM has to be started for it.
`rerank-operator catalog` prints this list, filters it, and tells everything about one model.
A model that is not here is served too, by what its own files say; the verification decides whether it ranks.

Nobody ran the weights of these models here.
Memory is computed from their configurations, and scores are measured again before anything is published.
"""
_SERVED = """\
## Served

`unverified` models are served with a warning: nobody saw vLLM rank with them.
GiB is what a model pod needs of its accelerator at the tokens of the table, with 16 bit weights.
Tokens are for a query and a document together, unless `spec.model.maxLength` says otherwise.

{head}"""
_HEAD_OF_SERVED = """\
| model | status | kind | languages | licence | GiB | tokens | scores | vLLM |
|---|---|---|---|---|---|---|---|---|
"""
_EMBEDDING = """\
## Embedding models

They are no rerankers, and vLLM answers /rerank with them all the same: their scores are cosines.
The operator serves them with a warning.

{head}"""
_WARNED = """\
## To know before

| models | what is said |
|---|---|
"""
_REFUSED = """\
## Refused

A resource with one of these models is refused with `ModelRefused`, before it takes an accelerator.

| models | why | remedy | instead |
|---|---|---|---|
"""
_FIELDS = """\
## Fields

`rerank-operator catalog --output json` and the files of the catalog have these fields.
Only `id` is required; a fact that nobody found is left out.

| field | meaning |
|---|---|
"""
_WORDS = """\
| word | meaning |
|---|---|
"""
_ADD = """\
## Add a model

1. Find the file of its maker in `operator/rerank_operator/catalog/models/`, or begin one.
2. Add an entry with the fields above.
   Take limits and architectures from the model's own `config.json`.
   Write down in `sources` where each fact was read.
   A commit in `revision` keeps the model from changing under its users.
3. A model that needs a prompt names a file of `operator/rerank_operator/catalog/templates/` in `template`.
   A new prompt is a new file, with a test that compares it with what the author wrote.
4. Set `verified` to what somebody saw, not to what is likely.
   A model that vLLM cannot serve gets a `refusal` with a remedy and models to use instead.
5. Run `make generate`, then `make check`.
6. Add a line to [CHANGELOG.md](../CHANGELOG.md).
"""
_MEANINGS = {
    "id": "Name of the model at its hub.",
    "aliases": "Further names of the same model.",
    "kind": "How it judges; the words are below.",
    "architectures": "What `architectures` in its config.json may say.",
    "revision": "Commit that is served where `spec.model.revision` names none.",
    "codeRevision": "Commit of the repository that holds the model's code, where that is another one.",
    "licence": "Under what terms its weights may be used.",
    "licence.spdx": "SPDX identifier, or the licence's own name.",
    "licence.nonCommercial": "Whether commercial use is forbidden.",
    "licence.asOf": "When that was read; licences change.",
    "licence.source": "Where that was read.",
    "size": "Figures for memory and disk; computed, not measured.",
    "size.parameters": "Number of weights.",
    "size.weightsGib": "GiB of the weights at 16 bit.",
    "size.diskGib": "GiB to download.",
    "size.kvKibPerToken": "KiB of cache for each token; 0 for encoders, which have none.",
    "maxLength": "Tokens that the model allows for a query and a document together.",
    "defaultMaxLength": "Tokens that are served unless the spec says otherwise; default: `maxLength`.",
    "maxDocuments": "Documents that one request may hold.",
    "hfOverrides": "What vLLM is told in place of the model's config.json (`--hf-overrides`).",
    "trustRemoteCode": "Whether Python from the model's repository must run; `spec.model.trustRemoteCode` allows it.",
    "template": "Prompt in which query and document are put.",
    "engine": "Releases of vLLM that serve it.",
    "engine.min": "First one; empty where no limit is known.",
    "engine.max": "Last one; empty where no limit is known.",
    "scores": "What its scores look like; the words are below.",
    "truncationSafe": "Whether an overlong document may be cut at the end; not where the prompt ends there.",
    "languages": "Languages that its authors name, of those in which the operator can ask.",
    "moreLanguages": "What the authors say of further languages.",
    "modalities": "What it reads.",
    "verified": "How sure it is that vLLM serves it right.",
    "verified.level": "The words are below.",
    "verified.date": "Since when.",
    "warning": "What its users are told.",
    "refusal": "Why it is not served.",
    "refusal.reason": "What stands against it.",
    "refusal.remedy": "What to do about it.",
    "refusal.alternatives": "Models to use instead.",
    "sources": "Where the facts were read.",
}


def build_page() -> str:
    """The page. Raises KeyError for a field of the catalog that nobody described here."""
    known = entries()
    refused = [entry for entry in known if entry.refusal]
    served = [entry for entry in known if not entry.refusal]
    embedding = [entry for entry in served if entry.kind is Kind.BI_ENCODER]
    warned = [entry for entry in served if entry.warning]
    return "\n".join(
        [
            _HEAD,
            _SERVED.format(head=_HEAD_OF_SERVED) + _rows(_served(entry) for entry in served if entry not in embedding),
            _EMBEDDING.format(head=_HEAD_OF_SERVED) + _rows(_served(entry) for entry in embedding),
            _WARNED + _rows(_grouped((entry, (cell(entry.warning),)) for entry in warned)),
            _REFUSED + _rows(_grouped((entry, _refused(entry)) for entry in refused)),
            _FIELDS + _rows((f"`{path}`", _MEANINGS[path]) for path in fields()),
            _WORDS + _rows(_words()),
            _ADD,
        ]
    )


def fields(model: type[BaseModel] = Entry, path: str = "") -> Iterator[str]:
    """Every field of an entry as it is written in a file, groups before what they hold."""
    for name, field in model.model_fields.items():
        full = f"{path}{field.alias or name}"
        yield full
        if nested := _nested(field.annotation):
            yield from fields(nested, f"{full}.")


def described() -> set[str]:
    """Every field that the page has a sentence for."""
    return set(_MEANINGS)


def _nested(annotation: Any) -> type[BaseModel] | None:
    """The model inside Optional and Annotated; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _nested(part))), None)


def _served(entry: Entry) -> tuple[str, ...]:
    licence = entry.licence
    terms = "not known" if licence is None else licence.spdx + (" (non-commercial)" if licence.non_commercial else "")
    return (
        f"`{entry.id}`",
        status_of(entry).value,
        f"`{entry.kind.value}`",
        cell(languages(entry, len(entry.languages))),
        cell(terms),
        gib(need_of(entry)),
        "-" if entry.served_length is None else str(entry.served_length),
        f"`{entry.scores.value}`",
        versions(entry).removeprefix("vLLM "),
    )


def _refused(entry: Entry) -> tuple[str, ...]:
    refusal = entry.refusal
    if refusal is None:
        raise ValueError(f"{entry.id} is not refused")
    instead = ", ".join(f"`{name}`" for name in refusal.alternatives)
    return cell(refusal.reason), cell(refusal.remedy), instead


def _grouped(said: Iterable[tuple[Entry, tuple[str, ...]]]) -> Iterator[tuple[str, ...]]:
    """One row for all models of which the same is said."""
    models: dict[tuple[str, ...], list[str]] = {}
    for entry, cells in said:
        models.setdefault(cells, []).append(f"`{entry.id}`")
    for cells, names in models.items():
        yield ", ".join(names), *cells


def _words() -> Iterator[tuple[str, str]]:
    for meanings in (KINDS, LEVELS, SCORES):
        for word, meaning in meanings.items():
            begins = meaning if meaning.startswith("vLLM") else meaning[0].upper() + meaning[1:]
            yield f"`{word.value}`", f"{begins}."
    yield f"`{Status.SERVED.value}`", "The catalog knows how, and somebody saw it rank."


def _rows(cells: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def main(*, write: Annotated[bool, typer.Option("--write", help="Write the page.")] = False) -> None:
    """Write docs/models.md, or without --write fail when it is stale."""
    update(MODELS_PAGE, build_page(), write=write)


if __name__ == "__main__":
    typer.run(main)
