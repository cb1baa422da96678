"""What is shown holds no secret, and nothing that acts on a terminal."""

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.cli.output import ago, clean, clean_all, columns, without

SECRETS = {
    "a header": ("Authorization: Bearer s3cr3t-of-milvus", "Authorization: ***"),
    "a bearer in a sentence": ("sent Bearer s3cr3t-of-milvus to it", "sent Bearer *** to it"),
    "a variable": ("HF_TOKEN=hf_abcdefghijklmnopqrst", "HF_TOKEN=***"),
    "a token of the hub": ("with hf_abcdefghijklmnopqrst it answered 403", "with *** it answered 403"),
    "arguments that vLLM logs": (
        "non-default args: {'port': 8000, 'api_key': ['one', 'two'], 'dtype': 'auto'}",
        "non-default args: {'port': 8000, 'api_key': ***, 'dtype': 'auto'}",
    ),
    "an argument": ("vllm serve m --api-key s3cr3t --port 8000", "vllm serve m --api-key *** --port 8000"),
    "an argument with =": ("vllm serve m --api-key=s3cr3t", "vllm serve m --api-key=***"),
    "JSON": ('{"password": "s3cr3t", "user": "x"}', '{"password": ***, "user": "x"}'),
    "an address": ("proxy http://user:s3cr3t@proxy:3128/ refused", "proxy http://***@proxy:3128/ refused"),
    "a service account": ("token eyJhbGciOiJSUzI1.eyJhdWQiOlsi.c2lnbg ends", "token *** ends"),
}
HARMLESS = (
    'secret "hf" not found',
    "couldn't find key token in Secret search/hf",
    "max_num_batched_tokens=8192, tokenizer='BAAI/bge', hf_token=None",
    '--hf-overrides {"classifier_from_token": ["no", "yes"]}',
    "POST /rerank answered 401: Unauthorized. Keys belong into the Secret of spec.access.bearerSecretRef",
    "pull docker.io/vllm/vllm-openai@sha256:0123456789abcdef",
    "disk-pressure, task-12345678901234567890",
)


@pytest.mark.parametrize(("text", "shown"), SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert shown == clean(text)


@pytest.mark.parametrize("text", [*HARMLESS, *(f"{meaning.when} {meaning.remedy}" for meaning in MEANINGS.values())])
def test_what_only_speaks_of_secrets_stays(text: str) -> None:
    assert text == clean(text)


def test_what_would_act_on_a_terminal_is_taken_out() -> None:
    assert "(EngineCore pid=7) done\tnow\n" == clean("\x1b[0;36m(EngineCore pid=7)\x1b[0;0m done\x07\tnow\r\n")


def test_every_text_of_a_json_value_is_cleaned() -> None:
    assert {"a": [1, "HF_TOKEN=***", None], "b": {"c": True}} == clean_all(
        {"a": (1, "HF_TOKEN=hf_secret", None), "b": {"c": True}}
    )


def test_a_secret_that_is_known_is_hidden_wherever_it_is() -> None:
    assert {"seen": ["echo: ***"]} == without("my-key", {"seen": ["echo: my-key"]})
    assert {"seen": "a b c"} == without("a", {"seen": "a b c"})
    assert {"seen": "a b c"} == without("", {"seen": "a b c"})


def test_columns_are_aligned_and_the_last_one_is_free() -> None:
    assert ["  NAME  X", "  a     a long text", "  bcde"] == columns(
        [("NAME", "X"), ("a", "a long text"), ("bcde", "")]
    )
    assert [] == columns([])
    assert ["  东京  x", "  ab    y"] == columns([("东京", "x"), ("ab", "y")])


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0s"), (0.4, "0s"), (59, "59s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172800, "2d")],
)
def test_a_span_of_time_is_short(seconds: float, shown: str) -> None:
    assert shown == ago(seconds)
