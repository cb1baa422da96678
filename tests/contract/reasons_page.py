"""Write docs/reasons.md from the meanings of the reasons: `python -m tests.contract.reasons_page [--write]`.

Without --write nothing is written; the exit code is 1 when the page is stale.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from rerank_operator.api.conditions import ConditionType
from rerank_operator.api.meanings import MEANINGS, Meaning
from rerank_operator.api.reasons import Reason
from tests.contract.chart import ROOT

REASONS_PAGE = ROOT / "docs" / "reasons.md"

_HEAD = """\
<!-- Generated from operator/rerank_operator/api/meanings by make generate; do not edit. -->

# Reasons

A reranker passes these conditions: {conditions}.
Each condition has one reason.
`kubectl get rrs` shows the reason of `Ready`; `kubectl describe rrs NAME` shows all of them with their messages.
A message says what was seen, and then the remedy of this page.

`Ready` repeats the reason of the first condition that is not True, so every other reason of this page can appear there.
`{progressing}` is True while `Ready` is not, and it may pass by itself.
`{stalled}` is True while `Ready` is not, and a person must do what the message says.
Both have the reason of `Ready`, and both are False while `spec.suspend` is true.
`{autoscaler}` is there with `spec.autoscaling` only, and `Ready` does not depend on it.

A condition whose turn has not come repeats the reason of the one that it waits for.
Reasons are part of the API: they keep their names.
"""
# Conditions that a reranker does not pass; the head says what each of them is.
_BESIDE = {
    "progressing": ConditionType.PROGRESSING,
    "stalled": ConditionType.STALLED,
    "autoscaler": ConditionType.AUTOSCALER_ACTIVE,
}
_BEFORE_ALL = "Before any operator has looked"
_ROW_HEAD = "| reason | when | remedy |\n|---|---|---|\n"


def build_page() -> str:
    """The page: one table for each condition, in the order in which a reranker passes them."""
    conditions = ", ".join(f"`{kind.value}`" for kind in ConditionType if kind not in _BESIDE.values())
    sections = [f"## {title}\n\n{_ROW_HEAD}{''.join(map(_row, reasons))}" for title, reasons in group_reasons()]
    return "\n".join([_HEAD.format(conditions=conditions, **_BESIDE), *sections])


def group_reasons() -> Iterator[tuple[str, list[Reason]]]:
    """Each condition with its reasons: a group begins with the reason that has the condition's own name."""
    conditions = {kind.value for kind in ConditionType}
    title, group = _BEFORE_ALL, list[Reason]()
    for reason in Reason:
        if reason.value in conditions:
            yield title, group
            title, group = reason.value, []
        group.append(reason)
    yield title, group


def update(file: Path, text: str, *, write: bool) -> None:
    """Write `text` into `file`; or, without `write`, end with exit code 1 when the file holds something else."""
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    name = file.relative_to(ROOT)
    if not write:
        typer.echo(f"stale: {name}\nRun `make generate` and commit what it writes.", err=True)
        raise typer.Exit(1)
    file.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {name}")


def _row(reason: Reason) -> str:
    meaning: Meaning = MEANINGS[reason]
    return f"| `{reason.value}` | {cell(meaning.when)} | {cell(meaning.remedy) or 'none needed'} |\n"


def cell(text: str) -> str:
    """Text for a table: paths, flags and field names as code, so that Markdown leaves them alone."""
    code = re.sub(
        r"(?<![\w`/.-])(kubectl logs --previous|spec(?:\.\w+)+|--[a-z][a-z-]+|/(?:v1/)?rerank)\b", r"`\1`", text
    )
    return code.replace("|", r"\|")


def main(*, write: Annotated[bool, typer.Option("--write", help="Write the page.")] = False) -> None:
    """Write docs/reasons.md, or without --write fail when it is stale."""
    update(REASONS_PAGE, build_page(), write=write)


if __name__ == "__main__":
    typer.run(main)
