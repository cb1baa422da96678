"""The parts of Milvus's configuration: as YAML, each in the place where Milvus, its chart and its operator look."""

import dataclasses
from typing import Any

import pytest
import yaml

from rerank_operator.milvus.config_map import build_data
from rerank_operator.milvus.publication import Publication
from tests.builders import a_publication

WITHOUT_A_KEY = a_publication()
WITH_A_KEY = a_publication(credential="bge", secret="callers")  # noqa: S106 - its name
# What YAML would read as something else, or what would end a key, a line or a block.
HOSTILE_NAMES = [
    "no",
    "1e3",
    "~",
    "a: b",
    "# c",
    "a'\"b",
    "{{x}}",
    "a\n  b: c",
    "schlüssel",
    "🔑",
    "\x7f\u2028",
    "k" * 253,
]

PROVIDER = {"rerank": {"model": {"providers": {"vllm": {"enable": True}}}}}


def in_milvus_yaml(publication: Publication) -> Any:
    return yaml.safe_load(build_data(publication)["milvus.yaml"])


def in_chart_values(publication: Publication) -> Any:
    """Milvus's chart writes each entry of `extraConfigFiles` as it is into its ConfigMap."""
    values = yaml.safe_load(build_data(publication)["milvus-values.yaml"])
    assert ["extraConfigFiles"] == list(values)
    assert ["user.yaml"] == list(values["extraConfigFiles"])
    return yaml.safe_load(values["extraConfigFiles"]["user.yaml"])


def in_milvus_resource(publication: Publication) -> Any:
    """The Milvus operator lays `spec.config` over its `user.yaml`."""
    resource = yaml.safe_load(build_data(publication)["milvus-resource.yaml"])
    assert ["spec"] == list(resource)
    assert ["config"] == list(resource["spec"])
    return resource["spec"]["config"]


every_form = pytest.mark.parametrize("read", [in_milvus_yaml, in_chart_values, in_milvus_resource])


@every_form
def test_a_fragment_switches_the_provider_on(read: Any) -> None:
    assert {"function": PROVIDER} == read(WITHOUT_A_KEY)


@every_form
def test_where_a_key_is_needed_a_fragment_has_the_entry_for_it(read: Any) -> None:
    assert {"credential": {"bge": {"apikey": "KEY"}}, "function": PROVIDER} == read(WITH_A_KEY)


@every_form
@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_the_name_of_a_credential_survives_whatever_it_is(read: Any, name: str) -> None:
    config = read(dataclasses.replace(WITH_A_KEY, credential=name))
    assert {"credential": {name: {"apikey": "KEY"}}, "function": PROVIDER} == config


@pytest.mark.parametrize("key", ["milvus.yaml", "milvus-values.yaml", "milvus-resource.yaml"])
def test_a_fragment_says_whether_it_is_needed_and_where_the_key_is_from(key: str) -> None:
    assert "on by default" in build_data(WITHOUT_A_KEY)[key]
    assert "Secret search/callers" in build_data(WITH_A_KEY)[key]


def test_the_content_does_not_depend_on_the_version_of_milvus() -> None:
    old = dataclasses.replace(WITH_A_KEY, milvus_version="2.6.0")
    assert build_data(WITH_A_KEY)["milvus.yaml"] == build_data(old)["milvus.yaml"]
