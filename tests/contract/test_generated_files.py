from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from rerank_operator.api.crd import build_crd
from tests.contract import generate
from tests.contract.chart import render


@pytest.mark.parametrize(
    "file",
    [generate.CRD_FILE, generate.CHART_CRD_FILE, generate.INSTALL_FILE, generate.CHART_README],
    ids=lambda f: f.name,
)
def test_a_generated_file_is_what_make_generate_would_write(file: Path) -> None:
    assert generate.build_copies()[file] == file.read_text(encoding="utf-8"), "run `make generate`"


def test_the_crd_file_says_exactly_what_the_models_say() -> None:
    assert build_crd() == yaml.safe_load(generate.CRD_FILE.read_text(encoding="utf-8"))


def test_the_chart_keeps_the_crd_on_uninstall_and_changes_nothing_else_of_it() -> None:
    crd = yaml.safe_load(generate.CHART_CRD_FILE.read_text(encoding="utf-8"))
    assert {"helm.sh/resource-policy": "keep"} == crd["metadata"].pop("annotations")
    assert build_crd() == crd


def test_the_manifest_holds_a_restricted_namespace_and_the_objects_of_the_chart() -> None:
    namespace, *objects = yaml.safe_load_all(generate.INSTALL_FILE.read_text(encoding="utf-8"))
    assert {"pod-security.kubernetes.io/enforce": "restricted"} == namespace["metadata"]["labels"]
    assert render() == objects


def test_a_changed_and_a_missing_file_are_stale(tmp_path: Path) -> None:
    changed, missing, same = tmp_path / "changed", tmp_path / "missing", tmp_path / "same"
    changed.write_text("old")
    same.write_text("new")
    assert [changed, missing] == generate.stale(dict.fromkeys([changed, missing, same], "new"))


def test_check_names_the_stale_files_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "build_copies", lambda: {generate.CRD_FILE: "something else"})
    result = CliRunner().invoke(_command(), ["--check"])
    assert 1 == result.exit_code
    assert "stale: crds/rerankservices.rerank-operator.io.yaml\nRun `make generate`" in result.output


def _command() -> typer.Typer:
    command = typer.Typer()
    command.command()(generate.main)
    return command
