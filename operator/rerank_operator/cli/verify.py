"""`verify`: ask any endpoint what the operator asks before it publishes."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

import typer
from rich.console import Console

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.v1alpha1 import Language, OverlongDocuments, RerankServiceSpec
from rerank_operator.catalog.models import lookup
from rerank_operator.cli.output import (
    RIGHT,
    UNUSABLE,
    WRONG,
    Format,
    Output,
    columns,
    fail,
    is_terminal,
    note,
    say,
    say_json,
    without,
)
from rerank_operator.rerank.finding import Check, Endpoint, Finding
from rerank_operator.rerank.questions import MOST_LANGUAGES, questions_in
from rerank_operator.rerank.verdict import scale_of, two_digits

_OVERLONG: Final = {
    OverlongDocuments.TRUNCATED: "cut off at the model's limit",
    OverlongDocuments.REJECTED: "refused: one such document fails a whole search",
    OverlongDocuments.NOT_ANSWERED: "not answered in time: a search with such documents fails",
    None: "not asked: the model's limit is not known or too large; give it with --max-length",
}
_SCALE: Final = {"ZeroToOne": "between 0 and 1", "Unbounded": "unbounded: a fixed threshold means nothing"}

Url = Annotated[str, typer.Argument(metavar="URL", help="The endpoint without a path, as Milvus is given it.")]
Model = Annotated[str | None, typer.Option(help="Name that the model is served by; default: send none.")]
KeyFile = Annotated[Path | None, typer.Option(metavar="FILE", help="File whose first line is the bearer key.")]
KeyVariable = Annotated[str | None, typer.Option("--key-env", metavar="VAR", help="Variable that holds the key.")]
Languages = Annotated[
    list[Language] | None,
    typer.Option("--language", help="Language of the questions; can be given several times. Default: the model's."),
]
MaxLength = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="The model's limit in tokens; default: what the endpoint says.")
]
NoTruncate = Annotated[bool, typer.Option("--no-truncate", help="Do not ask for truncation (truncate_prompt_tokens).")]


def verify(  # noqa: PLR0913 - one for each option
    url: Url,
    *,
    model: Model = None,
    key_file: KeyFile = None,
    key_env: KeyVariable = None,
    language: Languages = None,
    max_length: MaxLength = None,
    no_truncate: NoTruncate = False,
    output: Format = Output.TEXT,
) -> None:
    """Ask an endpoint everything that the operator asks before it publishes, and say whether it is right for Milvus.

    Exit code: 0 right, 1 wrong, 2 the endpoint could not be asked.

    Example: PROGRAM verify http://localhost:8000 --model BAAI/bge-reranker-v2-m3
    """
    base_url, key = _base_url(url), _key(key_file, key_env)
    known = lookup(model or "").languages[:MOST_LANGUAGES]
    languages = tuple(chosen.value for chosen in language or ()) or known or ("en",)
    endpoint = Endpoint(
        base_url=base_url,
        model=model,
        questions=questions_in(languages),
        truncate=not no_truncate,
        max_length=max_length,
        batch=int(RerankServiceSpec.model_validate({"model": {"name": model or "any"}}).milvus.max_client_batch_size),
    )
    waiting = Console(stderr=True).status(f"asking {base_url}") if is_terminal() else contextlib.nullcontext()
    with waiting:
        finding = asyncio.run(_ask(endpoint, key))
    report = without(key or "", build_report(base_url, finding))
    if output is Output.JSON:
        say_json(report)
    else:
        _tell(report)
    raise typer.Exit(RIGHT if finding.verdict.right else WRONG)


async def _ask(endpoint: Endpoint, key: str | None) -> Finding:
    from rerank_operator.clients.vllm import VllmClient  # noqa: PLC0415 - an HTTP client takes long to import
    from rerank_operator.controller.ask import ask  # noqa: PLC0415

    vllm = VllmClient.connect()
    try:
        return await ask(vllm, endpoint, key)
    finally:
        await vllm.close()


def _base_url(url: str) -> str:
    """Scheme and host: all that Milvus keeps of an endpoint."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        fail(f"URL {url!r}: {error}. Write it like http://localhost:8000.", UNUSABLE)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fail(f"URL {url!r} names no host that can be asked. Write it like http://localhost:8000.", UNUSABLE)
    if parts.username or parts.password:
        fail("URL holds a user or a password. Milvus sends a bearer key: give it with --key-file.", UNUSABLE)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    base_url = f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    if extra := _thrown_away(parts):
        note(f"URL {url!r}: Milvus throws {extra!r} away and calls {base_url}/rerank. So that host is asked.")
    return base_url


def _thrown_away(parts: SplitResult) -> str:
    path = parts._replace(scheme="", netloc="").geturl()
    return "" if path == "/" else path


def _key(file: Path | None, variable: str | None) -> str | None:
    """The bearer key; only from a file or a variable, since arguments can be read by everybody on a machine."""
    if file and variable:
        fail(f"--key-file {file} and --key-env {variable}: give one of them.", UNUSABLE)
    if file:
        try:
            key = next((line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()), "")
        except (OSError, UnicodeDecodeError) as error:
            fail(f"--key-file {file}: {error}. Give a text file whose first line is the key.", UNUSABLE)
        source = f"--key-file {file}"
    elif variable:
        key, source = os.environ.get(variable, "").strip(), f"--key-env {variable}"
    else:
        return None
    if not key or not key.isascii() or not key.isprintable():
        fail(f"{source} holds no key that can be sent. A key is one line of ASCII text.", UNUSABLE)
    return key


def build_report(url: str, finding: Finding) -> dict[str, Any]:
    """What was found, with the keys that docs/cli.md promises."""
    verdict, scores = finding.verdict, finding.scores
    lowest, highest = min(scores, default=0.0), max(scores, default=0.0)
    return {
        "url": url,
        "right": verdict.right,
        "reason": verdict.reason.value,
        "seen": verdict.detail or MEANINGS[verdict.reason].when,
        "remedy": MEANINGS[verdict.reason].remedy,
        "checks": [_check(check) for check in finding.checks],
        "fastestSeconds": None if finding.seconds is None else round(finding.seconds, 4),
        "scores": {"lowest": lowest, "highest": highest, "scale": scale_of(scores).value} if scores else None,
        "overlongDocuments": finding.overlong.value if finding.overlong else None,
        "batch": finding.batch._asdict() if finding.batch else None,
    }


def _check(check: Check) -> dict[str, Any]:
    verdict = check.verdict
    return {
        "asked": check.name,
        "seconds": round(check.seconds, 4),
        "right": verdict.right,
        "reason": verdict.reason.value,
        "seen": verdict.detail,
    }


def _row(check: dict[str, Any]) -> tuple[str, ...]:
    """What was asked comes last: a question can be in any script, and of any width."""
    return f"{check['seconds']:.3f} s", "right" if check["right"] else check["reason"], check["asked"]


def _tell(report: dict[str, Any]) -> None:
    checks = report["checks"]
    for line, check in zip(columns([_row(check) for check in checks], indent=0), checks, strict=True):
        say(line, "" if check["right"] else "red")
    say()
    if report["right"]:
        say(f"{report['reason']}: {report['url']} is right for Milvus", "green")
    else:
        say(f"{report['reason']}: {report['url']} is not right for Milvus", "red")
        say(f"  seen      {report['seen']}")
        say(f"  remedy    {report['remedy']}")
    if scores := report["scores"]:
        span = f"{two_digits(scores['lowest'])} to {two_digits(scores['highest'])}"
        say(f"  scores    {span}, {_SCALE[scores['scale']]}")
    if report["right"]:
        overlong = report["overlongDocuments"]
        say(f"  overlong  {_OVERLONG[OverlongDocuments(overlong) if overlong else None]}")
    if batch := report["batch"]:
        say(f"  batch     {batch['answered']} of {batch['asked']} documents in one request are answered well in time")
