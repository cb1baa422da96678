"""What the command line makes of a file."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rerank_operator.cli import cli

MINIMAL = """
apiVersion: rerank-operator.io/v1alpha1
kind: RerankService
metadata: {name: bge, namespace: search}
spec: {model: {name: BAAI/bge-reranker-v2-m3}}
"""


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, arguments, input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_params_prints_what_would_be_published() -> None:
    code, out, _ = run("params", "-", stdin=MINIMAL)

    assert 0 == code
    assert "http://bge.search.svc:8000" == json.loads(out)["endpoint"]


def test_render_prints_every_object_in_the_order_of_creation() -> None:
    code, out, _ = run("render", "-", stdin=MINIMAL)

    assert 0 == code
    assert ["ControllerRevision", "ConfigMap", "Deployment", "Service", "ConfigMap"] == [
        document["kind"] for document in yaml.safe_load_all(out)
    ]
    assert "rerank_guard.py: |" in out


WRONG = {
    "a misspelt field": (MINIMAL.replace("name: BAAI", "nmae: BAAI"), "spec.model.name: required; add it."),
    "a wrong value": (MINIMAL.replace("spec: {", "spec: {replicas: many, "), "spec.replicas"),
    "another kind": (MINIMAL.replace("RerankService", "Deployment"), "holds no RerankService"),
    "another version": (MINIMAL.replace("v1alpha1", "v9"), "apiVersion 'rerank-operator.io/v9' is not known"),
    "no YAML": ("{", "is not YAML"),
}


@pytest.mark.parametrize(("text", "complaint"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused_with_the_field_and_the_remedy(text: str, complaint: str) -> None:
    code, out, err = run("params", "-", stdin=text)

    assert (1, "") == (code, out)
    assert complaint in err


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = run("render", str(tmp_path / "nowhere.yaml"))

    assert 1 == code
    assert "nowhere.yaml: No such file or directory. Give the path of a YAML file" in err
