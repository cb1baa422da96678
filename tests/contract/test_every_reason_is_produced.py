"""No reason is a guess: a test with a cause made each of them happen that asks a person to do something."""

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.contract.produced import Production, productions, sources
from tests.produces import SOURCES, produces

NEEDS_A_PERSON = [reason for reason in Reason if MEANINGS[reason].remedy]
# Nothing that runs without a GPU says these.
FAULTS_OF_A_GPU = {Reason.DRIVER_TOO_OLD, Reason.ACCELERATOR_UNSUPPORTED, Reason.OUT_OF_GPU_MEMORY}


@pytest.fixture(scope="module")
def found() -> list[Production]:
    """Every mark of every test."""
    return productions()


def test_every_reason_with_a_remedy_is_made_to_happen_by_a_test(found: list[Production]) -> None:
    assert [] == [reason.value for reason in NEEDS_A_PERSON if reason not in sources(found)]


def test_no_test_names_a_reason_or_a_source_that_does_not_exist(found: list[Production]) -> None:
    reasons = {reason.value for reason in Reason}
    assert [] == [p for p in found if p.reason not in reasons or p.by not in SOURCES]


def test_only_faults_of_a_gpu_rest_on_words_alone(found: list[Production]) -> None:
    assert set() == {reason for reason, by in sources(found).items() if by == ["text"]} - FAULTS_OF_A_GPU


def test_sources_come_with_the_most_real_one_first() -> None:
    found = [
        Production("a", "Evicted", "double"),
        Production("b", "Evicted", "node"),
        Production("c", "Evicted", "node"),
    ]
    assert {Reason.EVICTED: ["node", "double"]} == sources(found)


def test_a_mark_names_a_known_source_and_a_reason() -> None:
    with pytest.raises(ValueError, match="by='rumour': no such source; take one of 'node', 'vLLM'"):
        produces(Reason.EVICTED, by="rumour")
    with pytest.raises(ValueError, match="at least one reason"):
        produces(by="node")
