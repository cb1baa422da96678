"""Samples parse, and every rule of the CRD has an invalid sample. The functional tests apply them for real."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rerank_operator.api.crd import build_crd
from rerank_operator.api.v1alpha1 import RerankService
from tests.contract.samples import INVALID_SAMPLES, SAMPLES, promise, read

PROMISES = [promise(file) for file in INVALID_SAMPLES]
SPEC_SCHEMA = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

# How the API server words the rules whose messages are its own.
BOUNDS = {
    "minimum": "{path} in body should be greater than or equal to {bound}",
    "maximum": "{path} in body should be less than or equal to {bound}",
}


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside one, with the path by which the API server calls it. Without the status."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        if (path, name) != ("", "status"):
            yield from schemas(child, f"{path}.{name}".lstrip("."))
    if isinstance(items := schema.get("items"), dict):
        yield from schemas(items, f"{path}[0]")


def words_of_the_crd() -> list[str]:
    return sorted({word for _, schema in schemas(SPEC_SCHEMA) for word in schema.get("enum", [])})


def rules_of_the_crd() -> Iterator[tuple[str, str]]:
    """Each rule as what identifies it, and the beginning of the message that it gives."""
    for path, schema in schemas(SPEC_SCHEMA):
        for rule in schema.get("x-kubernetes-validations", []):
            yield f"CEL {rule['message']}", rule["message"]
        for bound, wording in BOUNDS.items():
            if bound in schema:
                yield f"{bound} of {path}", wording.format(path=path, bound=schema[bound])
        for name in schema.get("required", []):
            full = f"{path}.{name}".lstrip(".")
            yield f"required {full}", f"{full}: Required value"
        if "enum" in schema:
            yield f"words of {path}", f"{path}: Unsupported value"
        if schema.get("x-kubernetes-list-type") == "map":
            yield f"keys of {path}", f"{path}[1]: Duplicate value"


RULES = dict(rules_of_the_crd())


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_of_the_crd_has_an_invalid_sample(rule: str) -> None:
    message = RULES[rule]
    answered = [p for p in PROMISES if message.startswith(p) or p.startswith(message)]
    assert answered, f"no file in manifests/samples/invalid is refused because of {rule}"


@pytest.mark.parametrize("word", words_of_the_crd())
def test_a_word_means_the_same_with_and_without_quotes(word: str) -> None:
    assert word == yaml.safe_load(word), "YAML 1.1 reads On, Off, Yes and No as booleans"


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_a_sample_is_a_reranker_as_the_operator_reads_it(file: Path) -> None:
    reranker = RerankService.model_validate(read(file))
    assert reranker.spec.model.name


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_a_sample_begins_by_saying_for_whom_it_is(file: Path) -> None:
    assert file.read_text(encoding="utf-8").startswith("# For ")


def test_the_minimal_sample_is_only_a_model_name() -> None:
    (minimal,) = [file for file in SAMPLES if file.stem == "minimal"]
    assert {"model": {"name": "BAAI/bge-reranker-v2-m3"}} == read(minimal)["spec"]


@pytest.mark.parametrize("file", INVALID_SAMPLES, ids=lambda file: file.stem)
def test_an_invalid_sample_is_a_minimal_reranker_with_one_fault(file: Path) -> None:
    resource = read(file)
    assert ("rerank-operator.io/v1alpha1", "RerankService") == (resource["apiVersion"], resource["kind"])
    assert promise(file)
