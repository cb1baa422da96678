"""`catalog`: which models are known, what each needs, and what is served in place of those that are refused."""

import dataclasses
import difflib
import re
import shlex
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
import yaml

from rerank_operator.api.v1alpha1 import Language
from rerank_operator.catalog.entry import GIB, Entry, Kind
from rerank_operator.catalog.models import entries, lookup
from rerank_operator.cli.model_report import (
    Status,
    build_report,
    facts,
    gib,
    languages,
    need_of,
    smallest_resource,
    status_of,
    versions,
)
from rerank_operator.cli.output import RIGHT, UNUSABLE, WRONG, columns, fail, note, say, say_json
from rerank_operator.cli.settings import read_settings
from rerank_operator.resources.render import to_yaml
from rerank_operator.resources.revision import EngineImages

_MOST_LANGUAGES: Final = 3
_MOST_MATCHES: Final = 5
_CLOSE: Final = 0.5
_MEMORY: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[MGT]i?)B?")
_UNITS: Final = {"M": 1e6, "G": 1e9, "T": 1e12, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_STYLES: Final = {Status.SERVED: "", Status.UNVERIFIED: "yellow", Status.REFUSED: "red"}
_HEADER: Final = ("MODEL", "STATUS", "KIND", "LICENCE", "GIB", "TOKENS", "SCORES")
_MORE: Final = ("PARAMETERS", "ENGINE", "TEMPLATE")


class Shape(StrEnum):
    """How the catalog is shown."""

    TEXT = "text"
    WIDE = "wide"
    NAME = "name"
    JSON = "json"
    YAML = "yaml"


Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model: then everything about it.")]
Languages = Annotated[
    list[Language] | None,
    typer.Option("--language", help="Only models for this language; several times: for all of them."),
]
Commercial = Annotated[bool, typer.Option("--commercial", help="Only models whose licence allows commercial use.")]
Memory = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Only models that fit into an accelerator of this size, as in 8Gi.")
]
All = Annotated[bool, typer.Option("--all", help="Also models that are refused.")]
Form = Annotated[
    Shape,
    typer.Option("--output", "-o", help="text and wide for people, name, json and yaml for programs."),
]


def catalog(
    name: Name = None,
    *,
    language: Languages = None,
    commercial: Commercial = False,
    memory: Memory = None,
    every: All = False,
    output: Form = Shape.TEXT,
) -> None:
    """List the models that are known: what each needs, and whether it is served. With NAME: everything about one.

    Exit code: 0 told, 1 the model NAME is refused, 2 no such model, or a wrong option.

    Example: PROGRAM catalog --language de --memory 8Gi --commercial
    """
    filters = _Filters(frozenset(language or ()), _bytes(memory), commercial, every)
    if name is None:
        _tell_all(filters, output)
        return
    if filters.given:
        fail(f"NAME {name} and a filter: give one of them; filters are for the list.", UNUSABLE)
    entry = _find(name)
    _tell_one(entry, output)
    raise typer.Exit(WRONG if entry.refusal else RIGHT)


@dataclasses.dataclass(frozen=True, slots=True)
class _Filters:
    """Which models are listed; `memory` is bytes."""

    languages: frozenset[Language]
    memory: float | None
    commercial: bool
    every: bool

    @property
    def given(self) -> bool:
        """Whether anything is filtered."""
        return self != _NO_FILTERS

    def chosen(self) -> list[Entry]:
        """The models to list; a note tells how many are hidden only because they are refused or of unknown size."""
        by_use = sorted(entries(), key=lambda entry: entry.kind is Kind.BI_ENCODER)  # rerankers first
        fitting = [entry for entry in by_use if self._suits(entry)]
        refused = [entry for entry in fitting if entry.refusal]
        if refused and not self.every:
            note(f"{_counted(len(refused), 'refused model')} not listed: --all lists them too.")
            fitting = [entry for entry in fitting if entry not in refused]
        if self.memory is None:
            return fitting
        needs = {entry.id: need_of(entry) for entry in fitting if not entry.refusal}
        if unknown := sum(need is None for need in needs.values()):
            note(f"{_counted(unknown, 'model')} of unknown size not listed: nobody knows whether they fit.")
        fit = {name for name, need in needs.items() if need is not None and need * GIB <= self.memory}
        return [entry for entry in fitting if entry.refusal or entry.id in fit]

    def _suits(self, entry: Entry) -> bool:
        free = entry.licence is not None and not entry.licence.non_commercial
        return self.languages <= set(entry.languages) and (free or not self.commercial)


_NO_FILTERS: Final = _Filters(frozenset(), None, commercial=False, every=False)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _bytes(memory: str | None) -> float | None:
    if memory is None:
        return None
    found = _MEMORY.fullmatch(memory)
    if found is None:
        fail(f"--memory {memory!r} is no size. Write it like 8Gi.", UNUSABLE)
    return float(found["number"]) * _UNITS[found["unit"]]


def _find(name: str) -> Entry:
    entry = lookup(name)
    if not entry.is_known:
        close = close_names(name, entries())
        hint = f"Did you mean: {', '.join(close)}?" if close else "rerank-operator catalog --all lists all."
        fail(f"The catalog has no model {name!r}. {hint}", UNUSABLE)
    return entry


def close_names(name: str, known: Iterable[Entry]) -> list[str]:
    """Ids of models whose name, with or without that of its maker, is like this one; the closest first."""
    ids: dict[str, str] = {}
    for entry in known:
        for spelled in (entry.id, *entry.aliases):
            ids.setdefault(spelled.lower(), entry.id)
            ids.setdefault(spelled.lower().rpartition("/")[2], entry.id)
    wanted = name.lower()
    tail = wanted.rpartition("/")[2]
    found = [spelled for spelled in ids if tail and tail in spelled]
    for text in (wanted, tail):
        found += difflib.get_close_matches(text, ids, _MOST_MATCHES, _CLOSE)
    return list(dict.fromkeys(ids[spelled] for spelled in found))[:_MOST_MATCHES]


def _images() -> EngineImages:
    return EngineImages(read_settings().engine_images)


def _tell_all(filters: _Filters, output: Shape) -> None:
    chosen = filters.chosen()
    if output is Shape.JSON:
        say_json([build_report(entry, _images()) for entry in chosen])
    elif output is Shape.YAML:
        typer.echo(_yaml([build_report(entry, _images()) for entry in chosen]), nl=False)
    elif output is Shape.NAME:
        for entry in chosen:
            say(entry.id)
    elif not chosen:
        note("No model of the catalog is like that. Give fewer filters, or --all.")
    else:
        wide = output is Shape.WIDE
        header = (*_HEADER, *(_MORE if wide else ()), "LANGUAGES")
        lines = columns([header, *(_row(entry, wide=wide) for entry in chosen)], indent=0)
        say(lines[0], "bold")
        for entry, line in zip(chosen, lines[1:], strict=True):
            say(line, _STYLES[status_of(entry)])


def _row(entry: Entry, *, wide: bool) -> tuple[str, ...]:
    licence = entry.licence
    spdx = "not known" if licence is None else licence.spdx
    length = "-" if entry.served_length is None else str(entry.served_length)
    shown = (entry.id, status_of(entry).value, entry.kind.value, spdx, gib(need_of(entry)), length)
    if not wide:
        return (*shown, entry.scores.value, languages(entry, _MOST_LANGUAGES))
    size = "-" if entry.size is None else f"{entry.size.parameters / 1e9:.2g}B"
    more = (size, versions(entry).removeprefix("vLLM ") or "any", entry.template or "-")
    return (*shown, entry.scores.value, *more, languages(entry, len(entry.languages)))


def _tell_one(entry: Entry, output: Shape) -> None:
    if output is Shape.NAME:
        say(entry.id)
        return
    report = build_report(entry, _images())
    if output is Shape.JSON:
        say_json(report)
        return
    if output is Shape.YAML:
        typer.echo(_yaml(report), nl=False)
        return
    say(entry.id, "red" if entry.refusal else "green")
    for line in columns(facts(entry)):
        say(line)
    if report["arguments"]:
        _tell_how(entry, report["arguments"])


def _tell_how(entry: Entry, arguments: list[str]) -> None:
    say()
    say("The resource that is enough", "bold")
    for line in to_yaml(smallest_resource(entry)).splitlines():
        say(f"  {line}")
    say()
    say("How vLLM is started for it", "bold")
    for line in argument_lines(arguments):
        say(f"  {line}")


def argument_lines(arguments: list[str]) -> list[str]:
    """A command with each flag and its value in a line of its own."""
    lines: list[str] = []
    for argument in map(shlex.quote, arguments):
        starts = argument.startswith("-") or not lines
        lines += [argument] if starts else []
        if not starts:
            lines[-1] += f" {argument}"
    return lines


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=110, allow_unicode=True)
