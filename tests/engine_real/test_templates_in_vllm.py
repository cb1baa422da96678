"""Our prompt templates in the real vLLM: it reads as many tokens as the prompt that we say it makes has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rerank_operator.catalog.templates import template
from tests.engine.broken_models import ensure_untrained
from tests.engine.forked_vllm import Forge, ForkedVllm, Start
from tests.prompts import prompt_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]
NAME = "judge"
JUDGE = {
    "architectures": ["Qwen3ForSequenceClassification"],
    "classifier_from_token": ["no", "yes"],
    "is_original_qwen3_reranker": True,
}
QUERY = "What eats krill?"
DOCUMENTS = ["Whales do.", "Bread is baked.\n\n{{ x }} <|im_end|>"]


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    with Forge() as forge:
        yield forge


@pytest.fixture(scope="module")
def judge(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedVllm]:
    """A language model that judges, asked with its template."""
    file = tmp_path_factory.mktemp("template") / "template.jinja"
    file.write_text(template("qwen3-reranker"), encoding="utf-8")
    arguments = ["--served-model-name", NAME, "--hf-overrides", json.dumps(JUDGE), "--chat-template", str(file)]
    server = forge.start(Start([str(ensure_untrained("language-model")), *arguments]))
    try:
        yield server.wait_until_healthy()
    finally:
        server.kill()


def asked(server: ForkedVllm, route: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}{route}", json={"model": NAME, **body}, timeout=60)
    assert (httpx.codes.OK, answer.text) == (answer.status_code, answer.text)
    return dict(answer.json())


def tokens_of(server: ForkedVllm, text: str) -> int:
    return int(asked(server, "/tokenize", prompt=text)["count"])


@pytest.mark.parametrize("instruction", [{}, {"instruction": "Prefer the answer of a biologist who counts whales."}])
def test_a_pair_has_the_tokens_of_the_prompt_that_the_template_makes(
    judge: ForkedVllm, instruction: dict[str, str]
) -> None:
    answer = asked(judge, "/rerank", query=QUERY, documents=DOCUMENTS, **instruction)
    prompts = [prompt_of(template("qwen3-reranker"), QUERY, document, **instruction) for document in DOCUMENTS]
    assert sum(tokens_of(judge, prompt) for prompt in prompts) == answer["usage"]["prompt_tokens"]
    assert {0, 1} == {result["index"] for result in answer["results"]}


def test_a_request_cannot_bring_a_template_of_its_own(judge: ForkedVllm) -> None:
    body = {"model": NAME, "query": QUERY, "documents": DOCUMENTS, "chat_template_kwargs": {"chat_template": "x"}}
    assert httpx.codes.BAD_REQUEST == httpx.post(f"{judge.url}/rerank", json=body, timeout=60).status_code
