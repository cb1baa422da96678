"""Families of models that have no entry: what is said of them can be followed."""

import re
from pathlib import Path

import pytest

from rerank_operator.catalog.families import Family, families
from rerank_operator.catalog.models import lookup
from rerank_operator.engine import check_model

FAMILIES = families()
_ID = re.compile(r"\b[A-Za-z][\w-]*/[\w.-]*\w")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_model_that_is_named_instead_is_served_by_the_catalog(family: Family) -> None:
    message = family.refusal.message if family.refusal else ""
    named = _ID.findall(f"{family.warning} {message}")

    assert [] == [name for name in named if not lookup(name).is_known or lookup(name).refusal]
    assert (family.refusal is not None) == bool(named)


def test_the_model_that_a_script_names_instead_is_served_by_the_catalog() -> None:
    (named,) = re.findall(r"Use (\S+/\S+) instead", Path(check_model.__file__).read_text())
    assert lookup(named).is_known
    assert lookup(named).refusal is None


def test_a_family_is_served_or_refused_and_has_a_name_of_its_own() -> None:
    assert len(FAMILIES) == len({family.name for family in FAMILIES})
    assert [] == [family.name for family in FAMILIES if family.refusal and (family.warning or family.hf_overrides)]
    assert [] == [family.name for family in FAMILIES if not family.source]


@pytest.mark.parametrize("name", ["HF_ColBERT", "ColBERTModernBertModel", "ColBERTJinaRobertaModel"])
def test_a_model_that_compares_word_by_word_is_no_embedding_model(name: str) -> None:
    listed = [family.model_dump(mode="json", by_alias=True) for family in FAMILIES]
    assert "colbert" == (check_model.family_of({"architectures": [name]}, listed) or {})["name"]
