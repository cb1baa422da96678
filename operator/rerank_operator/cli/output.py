"""What comes out: lines for people, JSON for programs, complaints on standard error. Never a secret."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text
from typer.core import TyperCommand

RIGHT: Final = 0
WRONG: Final = 1
# The question could not be asked: bad arguments, no such resource, no cluster, no right.
UNUSABLE: Final = 2
IN_VAIN: Final = 3

# In help texts this stands for the name that the program was called by.
PROGRAM: Final = "PROGRAM"

_HIDDEN: Final = "***"
_SHORTEST_SECRET: Final = 4
_ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NAMES: Final = (
    r"api[_-]?keys?|access[_-]?key|(?:hf|hub|auth|access|bearer|api)[_-]?token|password|passwd|client[_-]?secret|"
    r"authorization|credentials?"
)
_VALUE: Final = r"(?:\[[^\]]*\]|\([^)]*\)|(?:(?:bearer|basic)\s+)?['\"]?[^\s'\",;)\]}]+['\"]?)"
_SECRETS: Final = (
    # HF_TOKEN=..., 'api_key': ['...'], Authorization: Bearer ...
    (rf"(?i)((?:{_NAMES})['\"]?\s*[:=]\s*)(?!none\b|null\b|false\b|true\b){_VALUE}", rf"\1{_HIDDEN}"),
    (r"(--api-key\s+)(?!and\b|or\b|in\b)\S+", rf"\1{_HIDDEN}"),
    (r"(?i)\b(bearer\s+)[\w.~+/-]{8,}=*", rf"\1{_HIDDEN}"),
    (r"\b(?:hf|sk|nvapi|ghp|glpat)[_-][\w-]{12,}", _HIDDEN),
    (r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*", _HIDDEN),
    (r"(://)[^\s/@]+@", rf"\1{_HIDDEN}@"),
)
_PATTERNS: Final = tuple((re.compile(pattern), put) for pattern, put in _SECRETS)

_console = Console()
_errors = Console(stderr=True)


class Output(StrEnum):
    """Who reads what comes out."""

    TEXT = "text"
    JSON = "json"


Format = Annotated[Output, typer.Option("--output", "-o", help="text for people, json for programs.")]


class Command(TyperCommand):
    """A command whose help names the program as it was called: `rerank-operator`, or `kubectl rerank`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Put the name into the text."""
        self.help = (self.help or "").replace(PROGRAM, program(ctx))
        super().format_help(ctx, formatter)


def program(context: Any) -> str:
    """The name that the program was called by."""
    return str(context.find_root().info_name)


def is_terminal() -> bool:
    """Whether a person watches."""
    return sys.stdout.isatty()


def say(text: str = "", style: str = "") -> None:
    """Print a line, coloured for a terminal only."""
    _console.print(Text(clean(text), style), soft_wrap=True)


def say_json(value: Any, *, lines: bool = False) -> None:
    """Print a JSON value: indented, or in one line where there will be several."""
    typer.echo(json.dumps(clean_all(value), ensure_ascii=False, indent=None if lines else 2))


def note(text: str) -> None:
    """Tell a person something that is no result."""
    _errors.print(Text(clean(text), "yellow"), soft_wrap=True)


def complain(message: str) -> None:
    """Tell a person what is wrong, on standard error."""
    _errors.print(Text(clean(message), "red"), soft_wrap=True)


def fail(message: str, code: int = WRONG) -> NoReturn:
    """End with a complaint: the field, the value, and the remedy."""
    complain(message)
    raise typer.Exit(code)


def show(text: str, language: str) -> None:
    """Print a file: coloured for a person, as it is for a pipe."""
    if is_terminal():
        _console.print(Syntax(text, language, background_color="default"))
    else:
        typer.echo(text)


def clean(text: str) -> str:
    """The text without what looks like a secret, and without what would act on a terminal."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", text))
    for pattern, put in _PATTERNS:
        text = pattern.sub(put, text)
    return text


def clean_all(value: Any) -> Any:
    """The same for every text in a JSON value."""
    return _each_text(value, clean)


def without(secret: str, value: Any) -> Any:
    """A JSON value whose texts do not hold this secret; very short ones would hide everything."""
    if len(secret) < _SHORTEST_SECRET:
        return value
    return _each_text(value, lambda text: text.replace(secret, _HIDDEN))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    return [_each_text(item, change) for item in value] if isinstance(value, list | tuple) else value


def columns(rows: Sequence[tuple[str, ...]], indent: int = 2) -> list[str]:
    """Rows as aligned lines, also where characters are two cells wide; the last column may be of any length."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)][:-1] if rows else []
    lines = []
    for row in rows:
        cells = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=False)]
        lines.append(" " * indent + "  ".join([*cells, row[-1]]).rstrip())
    return lines


def ago(seconds: float) -> str:
    """A span of time as `kubectl` writes it: 5s, 12m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"
