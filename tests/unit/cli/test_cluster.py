"""How the cluster is reached, and what is said when it is not."""

import pytest
from typer.testing import CliRunner

from rerank_operator.cli import cli
from rerank_operator.cli.cluster import Right, explain
from rerank_operator.clients.errors import ApiRejected, ApiUnavailable, NotFound

REFUSED = (
    'failed to GET /apis/x: 403 rerankservices.rerank-operator.io "bge" is forbidden: User "jane" cannot get resource '
    '"rerankservices" in API group "rerank-operator.io" in the namespace "search"'
)
REFUSED_LOG = (
    'pods "bge-1" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "search"'
)


def test_a_missing_right_is_named_with_verb_and_resource() -> None:
    said = explain(ApiRejected(REFUSED))

    assert said.startswith("jane may not get rerankservices.rerank-operator.io in namespace search.")
    assert "Bind a Role to jane that grants it" in said
    assert "jane may not get pods/log in namespace search" == str(Right.missing_in(REFUSED_LOG))


def test_a_refusal_for_another_reason_is_quoted() -> None:
    assert Right.missing_in("403 the webhook says no") is None
    assert "403 the webhook says no" in explain(ApiRejected("403 the webhook says no"))


def test_a_cluster_without_the_crd_is_told_apart() -> None:
    assert explain(NotFound("404 page not found")).startswith("The API server knows no RerankService.")


def test_a_cluster_that_does_not_answer_comes_with_what_to_check() -> None:
    assert "refused. Check --kubeconfig and --context" in explain(ApiUnavailable("refused"))


WRONG = {
    "no file": (["--kubeconfig", "/nowhere/config"], "there is no kubeconfig '/nowhere/config'"),
    "no name": (["--namespace", "Search"], "--namespace 'Search' is no name"),
}


@pytest.mark.parametrize("command", ["doctor", "watch"])
@pytest.mark.parametrize(("arguments", "complaint"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_asked_ends_with_two_and_the_remedy(command: str, arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(cli, [command, "bge", *arguments])

    assert (2, "") == (result.exit_code, result.stdout)
    assert complaint in result.stderr


@pytest.mark.parametrize("command", ["doctor", "watch"])
def test_a_name_that_can_be_none_is_refused_before_anybody_is_asked(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "rrs/bge", "--kubeconfig", "/nowhere"])

    assert 2 == result.exit_code
    assert "NAME 'rrs/bge' is no name" in result.stderr
