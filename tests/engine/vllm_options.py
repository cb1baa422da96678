"""Record which options `vllm serve` of a version knows: `python -m tests.engine.vllm_options VERSION...`.

A wheel of vLLM has some 300 MB, and importing it needs torch: only the few files that declare options are read, by
ranges of the wheel, and their syntax tree is searched. An option is declared in one of two ways:

* `group.add_argument("--max-model-len", **model_kwargs["max_model_len"])`; a field of the configuration that may be
  True or False makes a `--no-` form too;
* each field of `FrontendArgs` becomes an option by its name.

Since 0.33 an `--enable-` option that has a `--no-` form has a `--disable-` form as well, and the other way round.
"""

import ast
import io
import re
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from rerank_operator.engine.versions import Version
from tests.engine.uv_install import UvError, uv

RECORDINGS: Final = Path(__file__).resolve().parents[1] / "recordings" / "vllm-options"
ENGINE: Final = "vllm/engine/arg_utils.py"
SERVE: Final = "vllm/entrypoints/cli/serve.py"
ARGPARSE: Final = "vllm/utils/argparse_utils.py"  # not in 0.10

_CONFIGURATION = re.compile(r"vllm/config(/\w+)?\.py")  # one module until 0.10.0
_PARSER = "make_arg_parser"
_FRONTEND = "FrontendArgs"
_OPPOSITES = {"--enable-": "--disable-", "--disable-": "--enable-"}
_OPPOSES = "EnableDisableAction"  # since 0.33
_OF_ARGPARSE = frozenset({"--help"})
# The wheels of old versions ask for at most Python 3.12 or 3.13, those of new ones for glibc 2.28 to 2.35.
_PLATFORM = ("--python-version", "3.12", "--python-platform", "x86_64-manylinux_2_35")
_BLOCK = 256 * 1024


class NoOptionsError(RuntimeError):
    """The wheel was not found, cannot be read in parts, or declares its options in a way unknown here."""


class RemoteFile(io.RawIOBase):
    """A file on a server, read by ranges. Raises NoOptionsError if the server sends no ranges."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(follow_redirects=True, timeout=60)
        self._url = url
        self._at = 0
        head = self._client.head(url).raise_for_status()
        self._size = int(head.headers["content-length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        response = self._client.get(self._url, headers={"Range": f"bytes={self._at}-{end - 1}"})
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            raise NoOptionsError(f"the package index answers {response.status_code} to a request for a part of a wheel")
        buffer[: len(response.content)] = response.content
        self._at += len(response.content)
        return len(response.content)

    def close(self) -> None:
        self._client.close()
        super().close()


def recorded() -> dict[Version, frozenset[str]]:
    """Long options of each recorded version, oldest first."""
    files = {Version(*map(int, file.stem.split("."))): file for file in RECORDINGS.glob("*.txt")}
    return {version: frozenset(files[version].read_text().splitlines()[1:]) for version in sorted(files)}


def record(version: str) -> Path:
    """Write the recording of a version and return its path. Raises NoOptionsError, UvError or httpx.HTTPError."""
    options = long_options(read_sources(version))
    made = f"# Long options of `vllm serve` {version}, from its source: python -m tests.engine.vllm_options {version}"
    file = RECORDINGS / f"{version}.txt"
    file.write_text("\n".join([made, *sorted(options)]) + "\n")
    return file


def read_sources(version: str) -> dict[str, str]:
    """Read the files of a version that declare options, by their path in the wheel."""
    with (
        io.BufferedReader(RemoteFile(_wheel_url(version)), _BLOCK) as remote,
        zipfile.ZipFile(remote) as wheel,
    ):
        frontend = frontend_path(wheel.read(SERVE).decode())
        wanted = {name for name in wheel.namelist() if _CONFIGURATION.fullmatch(name) or name == ARGPARSE}
        wanted |= {ENGINE, SERVE, frontend}
        in_order = sorted(wanted, key=lambda name: wheel.getinfo(name).header_offset)
        return {name: wheel.read(name).decode() for name in in_order}


def frontend_path(serve: str) -> str:
    """Where `vllm serve` has the options of its HTTP server from: that module has moved twice."""
    for node in ast.walk(ast.parse(serve)):
        if isinstance(node, ast.ImportFrom) and node.module and _PARSER in {alias.name for alias in node.names}:
            return node.module.replace(".", "/") + ".py"
    raise NoOptionsError(f"{SERVE} imports no {_PARSER}")


def long_options(sources: Mapping[str, str]) -> set[str]:
    """Options that begin with two hyphens, out of source texts by path.

    Raises NoOptionsError where a class or field is named that the sources do not define.
    """
    trees = {path: ast.parse(text) for path, text in sources.items()}
    classes = {node.name: node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    found = set(_OF_ARGPARSE)
    for field, annotation in _fields(_FRONTEND, classes).items():
        found |= _forms(f"--{field.replace('_', '-')}", negated=_is_switch(annotation))
    for path in trees.keys() - {ARGPARSE, *filter(_CONFIGURATION.fullmatch, trees)}:
        for function in ast.walk(trees[path]):
            if isinstance(function, ast.FunctionDef):
                found |= _declared(function, classes)
    return found | _opposites(found) if _OPPOSES in classes else found


def _declared(function: ast.FunctionDef, classes: Mapping[str, ast.ClassDef]) -> set[str]:
    """Options that a function adds to a parser by name."""
    names = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            for option in _long(node.args):
                found |= _forms(option, negated=_takes_no_value(node, names, classes))
        elif isinstance(node, ast.For):  # over options and their types
            found.update(_long(ast.walk(node.iter)))
    return found


def _long(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Constant(value=str() as text) if text.startswith("--"):
                yield text


def _takes_no_value(call: ast.Call, names: Mapping[str, ast.expr], classes: Mapping[str, ast.ClassDef]) -> bool:
    """Whether an option can be negated: by its action, or because the field is true or false that it is made from."""
    if any(word.arg == "action" for word in call.keywords):
        return any(ast.unparse(word.value).endswith("BooleanOptionalAction") for word in call.keywords)
    unpacked = (word.value for word in call.keywords if word.arg is None)
    return any(
        _is_switch(_annotation(owner, field, classes))
        for value in unpacked
        for owner, field in _configured(value, names)
    )


def _configured(value: ast.expr, names: Mapping[str, ast.expr]) -> Iterator[tuple[str, str]]:
    """Class and field of each `get_kwargs(Class)["field"]` in what is unpacked, through names of the function."""
    if isinstance(value, ast.Dict):
        for key, unpacked in zip(value.keys, value.values, strict=True):
            if key is None:
                yield from _configured(unpacked, names)
    elif isinstance(value, ast.Name) and value.id in names:
        yield from _configured(names[value.id], names)
    elif isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant):
        made = names.get(value.value.id) if isinstance(value.value, ast.Name) else value.value
        if isinstance(made, ast.Call) and isinstance(made.args[0], ast.Name):
            yield made.args[0].id, str(value.slice.value)


def _annotation(owner: str, field: str, classes: Mapping[str, ast.ClassDef]) -> ast.expr:
    fields = _fields(owner, classes)
    if field not in fields:
        raise NoOptionsError(f"the class {owner} has no field {field}")
    return fields[field]


def _fields(name: str, classes: Mapping[str, ast.ClassDef]) -> dict[str, ast.expr]:
    """Annotations of the fields of a class and of its ancestors among the sources."""
    if name not in classes:
        raise NoOptionsError(f"no source defines the class {name}")
    found: dict[str, ast.expr] = {}
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            found |= _fields(base.id, classes)
    for node in classes[name].body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node.annotation
    return found


def _is_switch(annotation: ast.expr) -> bool:
    """Whether vLLM makes two options without a value; `bool | str | None` is one option that may have a value."""
    members = set(_members(annotation))
    return "bool" in members and members != {"bool", "str", "None"}


def _members(annotation: ast.expr) -> Iterator[str]:
    """Types of a union, however it is written."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _members(left)
            yield from _members(right)
        case ast.Subscript(
            value=ast.Name(id="Optional" | "Union" | "Annotated" | "SkipValidation") as kind, slice=inner
        ):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            for part in parts[:1] if kind.id == "Annotated" else parts:
                yield from _members(part)
            if kind.id == "Optional":
                yield "None"
        case ast.Constant(value=str() as text):
            yield from _members(ast.parse(text, mode="eval").body)
        case _:
            yield ast.unparse(annotation)


def _opposites(options: set[str]) -> set[str]:
    return {
        opposite + option.removeprefix(prefix)
        for option in options
        for prefix, opposite in _OPPOSITES.items()
        if option.startswith(prefix) and f"--no-{option.removeprefix('--')}" in options
    }


def _forms(option: str, *, negated: bool) -> set[str]:
    return {option, f"--no-{option.removeprefix('--')}"} if negated else {option}


def _wheel_url(version: str) -> str:
    """Where the package index that uv uses keeps the wheel."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write(f"vllm=={version}\n")
        wanted.flush()
        how = ("pip", "compile", "--quiet", "--no-deps", "--only-binary", ":all:", "--format", "pylock.toml")
        lock = tomllib.loads(uv(*how, *_PLATFORM, wanted.name))
    for package in lock["packages"]:
        for wheel in package.get("wheels", ()):
            return str(wheel["url"])
    raise NoOptionsError(f"the package index has no wheel of vLLM {version}")


def main(versions: Annotated[list[str], typer.Argument(help="such as 0.33.0")]) -> None:
    """Record which options `vllm serve` of each version knows."""
    RECORDINGS.mkdir(exist_ok=True)
    for version in versions:
        typer.echo(record(version))


if __name__ == "__main__":
    try:
        typer.run(main)
    except (NoOptionsError, UvError, httpx.HTTPError) as error:
        sys.exit(f"error: {error}")
