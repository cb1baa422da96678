"""Limits that keep the code readable, and the one trap of a folder called `operator`."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.chart import ROOT

PACKAGE = ROOT / "operator" / "rerank_operator"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 45
# Names that say nothing about what is inside.
EMPTY_NAMES = {"utils", "helpers", "manager", "common"}
# Longer than the limit, each with the reason.
LONG_MODULES = {
    "engine/rerank_guard.py": "mounted into the model pod as one file",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def functions(module: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def body_lines(function: Function) -> int:
    """Lines from the first statement to the last, without the docstring."""
    statements = function.body
    if ast.get_docstring(function) is not None:
        statements = statements[1:]
    if not statements:
        return 0
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1


@pytest.mark.parametrize("name", ["__init__.py", "operator.py"])
def test_the_operator_folder_does_not_hide_the_standard_module(name: str) -> None:
    assert not (ROOT / "operator" / name).exists(), "Python started in the root would import it and die"


def test_python_started_in_the_root_imports_the_standard_operator_module() -> None:
    command = [sys.executable, "-c", "import operator; print(operator.__file__)"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not Path(printed.strip()).is_relative_to(ROOT)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(module: Path) -> None:
    if name_of(module) not in LONG_MODULES:
        assert len(module.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE_LINES


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_function_fits_on_a_screen(module: Path) -> None:
    too_long = {f.name: body_lines(f) for f in functions(module) if body_lines(f) > MAX_FUNCTION_LINES}
    assert {} == too_long


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_by_its_name_what_it_holds(module: Path) -> None:
    assert EMPTY_NAMES.isdisjoint(module.relative_to(PACKAGE).with_suffix("").parts)


def test_a_long_module_is_excused_only_while_it_is_long() -> None:
    lengths = {name: len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) for name in LONG_MODULES}
    assert {} == {name: length for name, length in lengths.items() if length <= MAX_MODULE_LINES}
