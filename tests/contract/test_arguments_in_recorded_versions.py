"""The pod of every model that is served, on an image of every release that serves it: no option is unknown there.

Neither are the options that engine.args is refused for, nor is one of them what vLLM reads another one as.
"""

import inspect
import re
from typing import Any

import pytest

from rerank_operator.api.v1alpha1 import AcceleratorType
from rerank_operator.api.v1alpha1.engine import RESERVED_ARGUMENTS
from rerank_operator.catalog.entry import Entry
from rerank_operator.catalog.models import entries
from rerank_operator.engine.versions import OLDEST, Version, parse_version
from rerank_operator.resources import engine_settings
from rerank_operator.resources.acceptance import refusal_of
from rerank_operator.resources.pod import build_pod_template
from tests.builders import a_reranker
from tests.engine.vllm_options import recorded

RECORDED = {version: options for version, options in recorded().items() if version >= OLDEST}
SERVED = [entry for entry in entries() if not entry.refusal]
# What a pod can be asked for that adds options.
WISHES: list[dict[str, Any]] = [
    *({"accelerator": {"type": kind}} for kind in AcceleratorType),
    {"accelerator": {"count": 2, "memory": "80Gi"}},
    {"engine": {"guard": "Disabled"}},
]


def image_of(version: Version) -> str:
    return f"vllm/vllm-openai:v{'.'.join(map(str, version))}"


def serves(version: Version, entry: Entry) -> bool:
    least, most = entry.engine.min, entry.engine.max
    return (not least or version >= parse_version(least)) and (not most or version <= parse_version(most))


def options_of(entry: Entry, version: Version) -> set[str]:
    """Every option of the commands that a model is started with on an image of a release."""
    found: set[str] = set()
    for wish in WISHES:
        spec = a_reranker(model={"name": entry.id, "trustRemoteCode": True}, **wish).spec
        assert None is refusal_of(spec, image_of(version))
        template = build_pod_template("bge", "abc", spec, entry, image_of(version))
        found |= {word for word in template["spec"]["containers"][0]["command"] if word.startswith("--")}
    return found


@pytest.mark.parametrize("entry", SERVED, ids=lambda entry: entry.id)
def test_a_model_is_started_with_options_that_each_release_knows(entry: Entry) -> None:
    served_by = [version for version in RECORDED if serves(version, entry)]
    unknown = {version: options_of(entry, version) - RECORDED[version] for version in served_by}

    assert max(RECORDED) in served_by
    assert {} == {image_of(version): options for version, options in unknown.items() if options}


@pytest.mark.parametrize("entry", [entry for entry in SERVED if entry.template], ids=lambda entry: entry.id)
def test_a_model_with_a_prompt_gets_it_on_every_release_that_serves_it(entry: Entry) -> None:
    without = [v for v in RECORDED if serves(v, entry) and "--chat-template" not in options_of(entry, v)]
    assert [] == without


def test_the_options_that_are_refused_are_options() -> None:
    named = set(re.findall(r'"(--[a-z-]+)"', inspect.getsource(engine_settings))) - {"--x"}
    everywhere = set.union(*map(set, RECORDED.values()))

    assert {"--headless", "--uds", "--max-num-seqs"} <= named
    assert set() == named - everywhere


@pytest.mark.parametrize("reserved", RESERVED_ARGUMENTS)
def test_no_option_is_the_beginning_of_a_reserved_one(reserved: str) -> None:
    for options in RECORDED.values():
        assert [reserved] == [option for option in options if reserved.startswith(option)]
