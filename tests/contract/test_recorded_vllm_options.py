"""The options that the operator gives to vLLM, against those that each release of vLLM knows."""

import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rerank_operator.api.v1alpha1 import AcceleratorType
from rerank_operator.catalog.accelerators import platforms
from rerank_operator.catalog.entry import Entry
from rerank_operator.catalog.models import entries
from rerank_operator.engine import check_model, command, sizing
from rerank_operator.engine.versions import OLDEST, SINCE, Version, parse_version
from tests.builders import a_reranker
from tests.engine.vllm_options import RECORDINGS, recorded

FILES = sorted(RECORDINGS.glob("*.txt"))
ALL = recorded()
SUPPORTED = {version: options for version, options in ALL.items() if version >= OLDEST}
OPTION = re.compile(r"--[a-z0-9]+(-[a-z0-9]+)*")
# Of the guard's and the probe's own commands.
NOT_OF_VLLM = {"--lame", "--timeout"}
# Of the config file that `check_model.py` writes, which is not told the release of vLLM.
CONFIG_FILE_KEY = re.compile(r'found\["([a-z-]+)"\]')


def options_in(module: ModuleType) -> set[str]:
    """Options that a module's source names in quotes."""
    return set(re.findall(rf'"({OPTION.pattern.replace("(", "(?:")})"', inspect.getsource(module))) - NOT_OF_VLLM


def named() -> set[str]:
    of_platforms = {argument for platform in platforms().values() for argument in platform.arguments}
    return options_in(command) | options_in(sizing) | {option for option in of_platforms if option.startswith("--")}


def specs(entry: Entry) -> Iterator[dict[str, Any]]:
    """Specs of a model in which every option that is given sometimes is given once."""
    model = {"name": entry.id, "trustRemoteCode": True, "maxLength": 512}
    for kind, count in itertools.product(AcceleratorType, (1, 2)):
        yield {
            "model": model,
            "accelerator": {"type": kind} | ({} if kind is AcceleratorType.CPU else {"count": count}),
        }


def given(version: Version) -> dict[str, str]:
    """Options that any command of a release holds, each with a model it is for."""
    found: dict[str, str] = {}
    for entry in (*entries(), Entry(id="nobody/knows-it")):
        for changes in specs(entry):
            arguments = command.build_command(a_reranker(**changes).spec, entry, version)
            found |= {argument: entry.id for argument in arguments if argument.startswith("--")}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recording_says_how_it_was_made_and_lists_each_option_once(file: Path) -> None:
    first, *options = file.read_text().splitlines()
    assert f"python -m tests.engine.vllm_options {file.stem}" in first
    assert first.startswith("# ")
    assert sorted(set(options)) == options
    assert [] == [option for option in options if not OPTION.fullmatch(option)]
    assert len(options) > 200


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recording_is_named_after_a_release(file: Path) -> None:
    assert file.stem == ".".join(map(str, parse_version(file.stem)))


def test_recordings_begin_before_the_oldest_release_and_reach_the_image_of_the_operator() -> None:
    assert min(ALL) < OLDEST
    assert OLDEST in ALL
    assert max(ALL) >= parse_version(platforms()[AcceleratorType.NVIDIA_GPU].image.rpartition(":")[2])


def test_a_release_before_the_oldest_lacks_an_option_that_every_model_needs() -> None:
    before = max(version for version in ALL if version < OLDEST)
    assert {"--kv-cache-memory-bytes"} == set(given(OLDEST)) - ALL[before]


@pytest.mark.parametrize("flag", sorted(SINCE))
def test_an_option_is_known_to_all_releases_since(flag: str) -> None:
    assert [] == [v for v, options in ALL.items() if v >= SINCE[flag] and flag not in options]


@pytest.mark.parametrize("flag", sorted(named()))
def test_an_option_that_the_operator_names_is_known_to_all_releases_or_to_those_since(flag: str) -> None:
    first = SINCE.get(flag, OLDEST)
    assert [] == [v for v, options in SUPPORTED.items() if v >= first and flag not in options]


@pytest.mark.parametrize("version", SUPPORTED, ids=lambda version: ".".join(map(str, version)))
def test_a_release_gets_only_options_that_it_knows(version: Version) -> None:
    assert {} == {option: model for option, model in given(version).items() if option not in SUPPORTED[version]}


def test_a_current_release_gets_every_option_that_is_named() -> None:
    assert set(given(max(ALL))) == named()


@pytest.mark.parametrize("key", sorted(set(CONFIG_FILE_KEY.findall(inspect.getsource(check_model)))))
def test_the_config_file_holds_options_of_current_releases(key: str) -> None:
    assert f"--{key}" in ALL[max(ALL)]
