"""What the command line makes of a file, other than Kubernetes objects."""

import json

from typer.testing import CliRunner

from rerank_operator.cli import cli
from tests.unit.cli.test_render import MINIMAL


def test_params_prints_what_would_be_published() -> None:
    result = CliRunner().invoke(cli, ["params", "-"], input=MINIMAL)

    assert 0 == result.exit_code
    assert "http://bge.search.svc:8000" == json.loads(result.stdout)["endpoint"]


def test_params_of_a_wrong_file_are_not_printed() -> None:
    result = CliRunner().invoke(cli, ["params", "-"], input=MINIMAL.replace("v1alpha1", "v9"))

    assert (1, "") == (result.exit_code, result.stdout)
    assert "apiVersion 'rerank-operator.io/v9' is not known" in result.stderr
