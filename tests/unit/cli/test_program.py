"""The program as a whole: its names, its help, and what it does not load."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from rerank_operator import __version__
from rerank_operator.cli import cli

COMMANDS = tuple(get_group(cli).commands)
WITHOUT_KOPF = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module("rerank_operator", run_name="__main__")
except SystemExit:
    pass
print("kopf" in sys.modules, "kubernetes" in sys.modules, file=sys.stderr)
"""


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_OPERATOR_WORKERS", "many")
    result = CliRunner().invoke(cli, ["run"])

    assert 1 == result.exit_code
    assert "RERANK_OPERATOR_WORKERS='many'" in result.stderr


def test_version_prints_the_version() -> None:
    assert f"{__version__}\n" == CliRunner().invoke(cli, ["version"]).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example_with_the_name_of_the_program(command: str) -> None:
    for program in ("rerank-operator", "kubectl rerank"):
        shown = CliRunner().invoke(cli, [command, "--help"], prog_name=program, env={"COLUMNS": "200"})

        assert 0 == shown.exit_code
        assert "Example: " in shown.output
        assert f"{program} {command}" in shown.output.split("Example: ")[1]
        assert "PROGRAM" not in shown.output


@pytest.mark.parametrize(
    ("file", "program"), [("rerank-operator", "rerank-operator"), ("kubectl-rerank", "kubectl rerank")]
)
def test_the_file_that_is_called_decides_the_name(file: str, program: str, tmp_path: Path) -> None:
    script = tmp_path / file
    script.write_text("from rerank_operator.cli import main\nmain()\n")
    shown = subprocess.run([sys.executable, script, "doctor", "--help"], capture_output=True, text=True, check=True)

    assert f"Usage: {program} doctor " in shown.stdout


QUICK = (
    ["version"],
    ["doctor", "--help"],
    ["params", "manifests/samples/minimal.yaml"],
    ["verify", "http://127.0.0.1:1"],
    ["doctor", "bge", "--kubeconfig", "/nowhere"],
    ["watch", "bge", "--kubeconfig", "/nowhere"],
)


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_only_run_waits_for_kopf_and_only_those_that_need_a_cluster_for_its_client(arguments: list[str]) -> None:
    command = [sys.executable, "-c", WITHOUT_KOPF, "rerank-operator", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    needs_a_cluster = "--kubeconfig" in arguments
    assert f"False {needs_a_cluster}" == ended.stderr.splitlines()[-1]


def test_an_unknown_command_is_a_usage_error_without_a_stack_trace() -> None:
    result = CliRunner().invoke(cli, ["docter", "bge"])

    assert 2 == result.exit_code
    assert "No such command 'docter'" in result.stderr
