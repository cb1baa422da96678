"""`catalog` lists what is known, filters it, and tells everything about one model."""

import json
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.catalog.entry import Entry
from rerank_operator.catalog.models import entries
from rerank_operator.cli import cli
from rerank_operator.cli.catalog import argument_lines, close_names
from rerank_operator.cli.model_report import Status, need_of, smallest_resource, status_of

M3 = "BAAI/bge-reranker-v2-m3"
REFUSED = "mixedbread-ai/mxbai-rerank-base-v1"
NOT_COMMERCIAL = "jinaai/jina-reranker-v2-base-multilingual"


def catalog(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["catalog", *arguments])
    return result.exit_code, result.stdout, result.stderr


def listed(*arguments: str) -> list[str]:
    code, out, _ = catalog("--output", "name", *arguments)
    assert 0 == code
    return out.splitlines()


def of(name: str) -> Entry:
    return next(entry for entry in entries() if entry.id == name)


def test_the_list_has_a_line_for_each_model_that_is_served() -> None:
    code, out, err = catalog()
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}

    assert 0 == code
    assert {entry.id for entry in entries() if not entry.refusal} == set(lines)
    assert ["served", "crossEncoder", "Apache-2.0"] == lines[M3][:3]
    assert "refused models not listed: --all lists them too." in err


def test_all_lists_those_that_are_refused_too() -> None:
    assert REFUSED not in listed()
    assert {entry.id for entry in entries()} == set(listed("--all"))
    assert f"{Status.REFUSED}" in next(line for line in catalog("--all")[1].splitlines() if line.startswith(REFUSED))


def test_rerankers_come_before_embedding_models() -> None:
    kinds = [of(name).kind.value == "biEncoder" for name in listed()]
    assert sorted(kinds) == kinds


def test_several_languages_mean_models_for_all_of_them() -> None:
    german, both = listed("--language", "de"), listed("--language", "de", "--language", "zh")

    assert M3 in both
    assert "BAAI/bge-reranker-base" not in german
    assert set(both) == {name for name in german if "zh" in of(name).languages}


def test_a_licence_that_forbids_commercial_use_is_filtered() -> None:
    assert NOT_COMMERCIAL in listed()
    assert NOT_COMMERCIAL not in listed("--commercial")


@pytest.mark.parametrize(("size", "bytes_"), [("4Gi", 4 * 2**30), ("4GiB", 4 * 2**30), ("8000M", 8e9)])
def test_a_size_leaves_what_fits_into_it(size: str, bytes_: float) -> None:
    fits = {entry.id for entry in entries() if (need := need_of(entry)) is not None and need * 2**30 <= bytes_}

    assert M3 in fits
    assert fits == set(listed("--memory", size))


def test_nothing_that_fits_is_said_and_is_no_fault() -> None:
    code, out, err = catalog("--memory", "1Mi")

    assert (0, "") == (code, out)
    assert "No model of the catalog is like that." in err


def test_wide_shows_more_and_fewer_things_short() -> None:
    header, *lines = catalog("--output", "wide")[1].splitlines()

    assert ["PARAMETERS", "ENGINE", "TEMPLATE", "LANGUAGES"] == header.split()[-4:]
    assert next(line for line in lines if line.startswith(M3)).endswith(
        "en zh ar ru es fr de ja ko hi pt it, multilingual"
    )


def test_programs_get_the_same_facts_in_json_and_in_yaml() -> None:
    reports: list[dict[str, Any]] = json.loads(catalog("--language", "de", "--output", "json")[1])

    assert listed("--language", "de") == [report["id"] for report in reports]
    assert reports == yaml.safe_load(catalog("--language", "de", "--output", "yaml")[1])


def test_one_model_is_told_in_words_with_what_to_write_and_what_runs() -> None:
    code, out, err = catalog(M3.upper())
    resource, command = out.split("The resource that is enough\n")[1].split("\n\nHow vLLM is started for it\n")

    assert (0, "") == (code, err)
    assert M3 == out.splitlines()[0]
    assert "  tokens     8192 for a query and a document together\n" in out
    assert M3 == RerankService.model_validate(_in_default(yaml.safe_load(resource))).spec.model.name
    assert "  --max-model-len 8192" in command.splitlines()


def test_a_refused_model_comes_with_the_remedy_and_what_to_use_instead() -> None:
    code, out, _ = catalog(REFUSED)
    refusal = of(REFUSED).refusal
    assert refusal is not None

    assert 1 == code
    assert refusal.remedy in out
    assert ", ".join(refusal.alternatives) in out
    assert "How vLLM is started" not in out
    assert [] == json.loads(catalog(REFUSED, "--output", "json")[1])["arguments"]


WRONG = {
    "a typing error": (["bge-rerankr-v2-m3"], f"no model 'bge-rerankr-v2-m3'. Did you mean: {M3}"),
    "nothing like it": (["0000"], "rerank-operator catalog --all lists all."),
    "a name and a filter": ([M3, "--all"], "give one of them"),
    "no size": (["--memory", "8"], "--memory '8' is no size. Write it like 8Gi."),
}


@pytest.mark.parametrize(("arguments", "complaint"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_told_ends_with_two_and_the_remedy(arguments: list[str], complaint: str) -> None:
    code, out, err = catalog(*arguments)

    assert (2, "") == (code, out)
    assert complaint in err


def test_a_name_without_its_maker_is_close() -> None:
    assert M3 == close_names("bge-reranker-v2-m3", entries())[0]


def test_a_command_is_shown_as_a_shell_would_take_it() -> None:
    command = ["vllm", "serve", "m", "--hf-overrides", '{"a": 1}', "--enforce-eager", "--port", "8000"]

    assert ["vllm serve m", "--hf-overrides '{\"a\": 1}'", "--enforce-eager", "--port 8000"] == argument_lines(command)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.id)
def test_the_smallest_resource_of_every_model_is_valid(entry: Entry) -> None:
    reranker = RerankService.model_validate(_in_default(smallest_resource(entry)))

    assert entry.id == reranker.spec.model.name
    assert (status_of(entry) is Status.REFUSED) == (entry.refusal is not None)


def _in_default(resource: dict[str, Any]) -> dict[str, Any]:
    return {**resource, "metadata": {**resource["metadata"], "namespace": "default"}}
