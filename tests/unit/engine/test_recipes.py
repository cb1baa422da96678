"""The command line and the environment that a model of the catalog gets, and what of it the user replaces."""

import json
from typing import Any

import pytest

from rerank_operator.engine import command
from rerank_operator.engine.versions import Version, version_of
from tests.builders import a_reranker

BGE, QWEN = "BAAI/bge-reranker-v2-m3", "Qwen/Qwen3-Reranker-0.6B"
MXBAI, GTE = "mixedbread-ai/mxbai-rerank-base-v2", "Alibaba-NLP/gte-multilingual-reranker-base"
QWEN_COMMIT = "6e9e69830b95c52b5fd889b7690dda3329508de3"
TEMPLATE = "/opt/rerank-operator/prompt.jinja"
CODE = {"trustRemoteCode": True}
VOLUME = {"volume": {"claimName": "models", "path": "tiny/model"}}

# How each of them is started on a GPU of unknown size, and the last words on one of 24 GiB.
NAMED: dict[str, tuple[list[str], list[str]]] = {
    BGE: (
        [
            *("vllm", "serve", f"/models/{BGE}/12e974610ba9083ed95f3edf08d7e899581f4de4"),
            *("--served-model-name", BGE),
            *("--runner", "pooling", "--port", "8000", "--dtype", "auto", "--max-model-len", "8192"),
            *("--middleware", "rerank_guard.Guard"),
            *("--gpu-memory-utilization", "0.10"),
        ],
        ["--gpu-memory-utilization", "0.15"],
    ),
    QWEN: (
        [
            *("vllm", "serve", f"/models/{QWEN}/{QWEN_COMMIT}"),
            *("--served-model-name", QWEN),
            *("--runner", "pooling", "--port", "8000", "--dtype", "auto", "--max-model-len", "8192"),
            *("--middleware", "rerank_guard.Guard"),
            "--hf-overrides",
            (
                '{"architectures": ["Qwen3ForSequenceClassification"], "classifier_from_token": ["no", "yes"], '
                '"is_original_qwen3_reranker": true}'
            ),
            *("--chat-template", TEMPLATE),
            *("--gpu-memory-utilization", "0.10", "--kv-cache-memory-bytes", "3758096384"),
        ],
        ["--gpu-memory-utilization", "0.30", "--kv-cache-memory-bytes", "3758096384"],
    ),
    MXBAI: (
        [
            *("vllm", "serve", f"/models/{MXBAI}/3ea9d4dffa7d12a4f366be8e275c349de9fc9865"),
            *("--served-model-name", MXBAI),
            *("--runner", "pooling", "--port", "8000", "--dtype", "auto", "--max-model-len", "8192"),
            *("--middleware", "rerank_guard.Guard"),
            "--hf-overrides",
            (
                '{"architectures": ["Qwen2ForSequenceClassification"], "classifier_from_token": ["0", "1"], '
                '"method": "from_2_way_softmax"}'
            ),
            *("--chat-template", TEMPLATE),
            *("--gpu-memory-utilization", "0.10", "--kv-cache-memory-bytes", "402653184"),
        ],
        ["--gpu-memory-utilization", "0.20", "--kv-cache-memory-bytes", "402653184"],
    ),
    GTE: (
        [
            *("vllm", "serve", f"/models/{GTE}/8215cf04918ba6f7b6a62bb44238ce2953d8831c"),
            *("--served-model-name", GTE),
            *("--runner", "pooling", "--port", "8000", "--dtype", "auto", "--max-model-len", "8192"),
            "--trust-remote-code",
            *("--middleware", "rerank_guard.Guard"),
            *("--code-revision", "40ced75c3017eb27626c9d4ea981bde21a2662f4"),
            *("--hf-overrides", '{"architectures": ["GteNewForSequenceClassification"]}'),
            *("--gpu-memory-utilization", "0.10"),
        ],
        ["--gpu-memory-utilization", "0.15"],
    ),
}


def model(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, **(CODE if name == GTE else {}), **fields}


def started(image: str = "vllm/vllm-openai:v0.32.0", **spec: Any) -> list[str]:
    parsed = a_reranker(**spec).spec
    return command.build_command(parsed, command.entry_of(parsed), version_of(image))


def told(*args: str, name: str = QWEN, **spec: Any) -> list[str]:
    """How a model is started with further arguments of the user."""
    return started(model=model(name), engine={"args": list(args)}, **spec)


def variables(**spec: Any) -> dict[str, Any]:
    parsed = a_reranker(**spec).spec
    env = command.build_environment(parsed, command.entry_of(parsed))
    return {variable["name"]: variable.get("value") for variable in env}


def revision(**fields: Any) -> str | None:
    parsed = a_reranker(model=fields).spec
    return command.model_revision(parsed, command.entry_of(parsed))


def folder(**fields: Any) -> str:
    return started(model=fields)[2]


@pytest.mark.parametrize("name", NAMED)
def test_a_named_model_is_started_exactly_so(name: str) -> None:
    assert NAMED[name][0] == started(model=model(name))


@pytest.mark.parametrize("name", NAMED)
def test_the_size_of_the_card_changes_its_share_alone(name: str) -> None:
    whole, last = NAMED[name]
    assert [*whole[: -len(last)], *last] == started(model=model(name), accelerator={"memory": "24Gi"})


@pytest.mark.parametrize("name", NAMED)
def test_a_cpu_is_told_no_share_and_computes_in_float32(name: str) -> None:
    whole, last = NAMED[name]
    given = started(model=model(name), accelerator={"type": "CPU"})
    wanted = ["float32" if word == "auto" else word for word in whole[: -len(last)]]
    at = wanted.index("--middleware")

    assert [*wanted[:at], "--enforce-eager", *wanted[at:]] == given


def test_two_cards_share_the_cache() -> None:
    given = started(model=model("Qwen/Qwen3-Reranker-8B"), accelerator={"count": 2, "memory": "24Gi"})

    assert ["--gpu-memory-utilization", "0.55", "--kv-cache-memory-bytes", str(2 * 144 * 1024 * 8192)] == given[-4:]


def test_float32_doubles_what_is_reserved() -> None:
    given = started(model=model(QWEN), engine={"dtype": "float32"})

    assert str(2 * 3758096384) == given[-1]


@pytest.mark.parametrize(
    ("args", "left_out"),
    [
        (["--hf-overrides", "{}"], ["--hf-overrides"]),
        (["--hf_overrides={}"], ["--hf-overrides"]),
        (["--hf-overrides.num_labels", "1"], ["--hf-overrides"]),
        (["--chat-template", "/mine.jinja"], ["--chat-template"]),
        (["--chat_template=/mine.jinja"], ["--chat-template"]),
        (["--gpu-memory-utilization", "0.5"], ["--gpu-memory-utilization", "--kv-cache-memory-bytes"]),
        (["--gpu_memory_utilization=0.5"], ["--gpu-memory-utilization", "--kv-cache-memory-bytes"]),
        (["--kv-cache-memory-bytes", "1073741824"], ["--gpu-memory-utilization", "--kv-cache-memory-bytes"]),
    ],
)
def test_the_users_argument_wins_and_ours_is_left_out(args: list[str], left_out: list[str]) -> None:
    without = list(NAMED[QWEN][0])
    for flag in left_out:
        at = without.index(flag)
        del without[at : at + 2]

    assert [*without, *args] == told(*args)


def test_an_argument_of_a_similar_name_replaces_nothing() -> None:
    args = ["--chat-template-content-format", "string"]
    assert [*NAMED[QWEN][0], *args] == told(*args)


def test_the_users_code_revision_wins() -> None:
    given = told("--code-revision", "main", name=GTE)

    assert 1 == given.count("--code-revision")
    assert ["--code-revision", "main"] == given[-2:]


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (["--runner", "a", "--runner=b"], "b"),
        (["--runner=a", "--runner", "b"], "b"),
        (["--run_ner", "b"], ""),
        (["--runner"], ""),
        (["--runner.x", "b"], ""),
        (["x", "b"], ""),
    ],
)
def test_the_last_value_of_an_argument_counts(args: list[str], value: str) -> None:
    assert value == command.value_of(args, "--runner")


def test_what_is_made_from_a_known_model_is_served_alike_under_its_own_name() -> None:
    given = started(model={"name": "me/mine", "basedOn": QWEN})

    assert ["vllm", "serve", "/models/me/mine/main", "--served-model-name", "me/mine", *NAMED[QWEN][0][5:]] == given


def test_an_unknown_model_leaves_everything_to_what_its_files_say() -> None:
    assert [
        *("vllm", "serve", "/models/me/mine/main", "--served-model-name", "me/mine"),
        *("--runner", "pooling", "--port", "8000", "--dtype", "auto"),
        *("--middleware", "rerank_guard.Guard"),
        *("--config", "/run/rerank-operator/engine.yaml"),
    ] == started(model={"name": "me/mine"})


def test_the_users_config_file_replaces_ours() -> None:
    given = told("--config", "/mine.yaml", name="me/mine")
    assert ["--config", "/mine.yaml"] == [*given[given.index("--middleware") + 2 :]]


def test_a_known_model_reads_no_config_file() -> None:
    assert [] == [name for name in NAMED if "--config" in started(model=model(name))]


def test_a_template_is_given_only_to_a_vllm_that_reads_it_for_scores() -> None:
    old, new = (started(f"vllm/vllm-openai:v{release}", model=model(QWEN)) for release in ("0.13.0", "0.14.0"))

    assert "--chat-template" not in old
    assert NAMED[QWEN][0] == new


def test_an_image_of_unknown_content_counts_as_a_current_one() -> None:
    assert NAMED[QWEN][0] == started("registry.example.com/engine@sha256:abc", model=model(QWEN))
    parsed = a_reranker(model=model(QWEN)).spec
    assert NAMED[QWEN][0] == command.build_command(parsed, command.entry_of(parsed), Version(99, 0))


def test_without_the_guard_there_is_no_middleware() -> None:
    assert "--middleware" not in started(engine={"guard": "Disabled"})


def test_a_model_of_the_catalog_is_pinned_whatever_the_case_of_its_name() -> None:
    assert QWEN_COMMIT == revision(name=QWEN) == revision(name=QWEN.lower())


def test_an_alias_is_another_repository_and_is_not_pinned() -> None:
    assert None is revision(name="cross-encoder/ms-marco-MiniLM-L-6-v2")


def test_the_users_revision_wins_over_the_catalogs() -> None:
    assert "v1" == revision(name=QWEN, revision="v1")
    assert f"/models/{QWEN}/v1" == folder(name=QWEN, revision="v1")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": QWEN, "source": {"huggingFace": {"endpoint": "https://hub.example.com"}}},
        {"name": QWEN, "source": VOLUME},
        {"name": QWEN, "source": {"hostPath": {"path": "/data"}}},
        {"name": QWEN, "source": {"image": {"reference": "models:1"}}},
        {"name": "me/mine", "basedOn": QWEN},
        {"name": "me/mine"},
    ],
    ids=["a mirror", "a volume", "a folder", "an image", "made from it", "unknown"],
)
def test_the_catalogs_commit_is_for_its_own_model_on_the_public_hub(fields: dict[str, Any]) -> None:
    assert None is revision(**fields)


def test_a_token_does_not_make_the_hub_another_one() -> None:
    assert QWEN_COMMIT == revision(name=QWEN, source={"huggingFace": {"tokenSecretRef": {"name": "hf"}}})


@pytest.mark.parametrize(
    ("source", "where"),
    [
        (None, f"/models/{QWEN}/{QWEN_COMMIT}"),
        ({"huggingFace": {"cache": {"size": "20Gi"}}}, f"/models/{QWEN}/{QWEN_COMMIT}"),
        ({"huggingFace": {"endpoint": "https://hub.example.com"}}, f"/models/{QWEN}/main"),
        (VOLUME, "/models/tiny/model"),
        ({"volume": {"claimName": "models"}}, "/models"),
        ({"volume": {"claimName": "models", "path": "a/"}}, "/models/a"),
        ({"hostPath": {"path": "/data/models/tiny"}}, "/models"),
        ({"image": {"reference": "models:1", "path": "tiny"}}, "/models/tiny"),
        ({"image": {"reference": "models:1"}}, "/models"),
    ],
)
def test_the_engine_finds_a_complete_folder(source: dict[str, Any] | None, where: str) -> None:
    assert where == folder(name=QWEN, **({"source": source} if source else {}))


@pytest.mark.parametrize(
    ("fields", "offline"),
    [
        ({"name": QWEN}, "1"),
        ({"name": QWEN, "source": VOLUME}, "1"),
        ({"name": "me/mine"}, "1"),
        ({"name": GTE, **CODE}, None),
        ({"name": GTE, **CODE, "source": VOLUME}, "1"),
    ],
)
def test_the_engine_fetches_nothing_but_code(fields: dict[str, Any], offline: str | None) -> None:
    assert offline == variables(model=fields).get("HF_HUB_OFFLINE")


def test_what_vllm_compiled_is_kept_with_the_download() -> None:
    cached = {"name": QWEN, "source": {"huggingFace": {"cache": {"claimName": "models"}}}}

    assert "/models/.vllm-cache" == variables(model=cached)["VLLM_CACHE_ROOT"]
    assert "VLLM_CACHE_ROOT" not in variables(model={"name": QWEN, "source": VOLUME})
    assert "VLLM_CACHE_ROOT" not in variables()


@pytest.mark.parametrize(
    ("spec", "gib"),
    [({}, "1"), ({"model": model(QWEN)}, "2"), ({"model": model(QWEN), "engine": {"dtype": "bfloat16"}}, "1")],
)
def test_a_cpu_is_told_how_much_it_may_keep(spec: dict[str, Any], gib: str) -> None:
    assert gib == variables(accelerator={"type": "CPU"}, **spec)["VLLM_CPU_KVCACHE_SPACE"]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ([], {"architectures": ["GteNewForSequenceClassification"]}),
        (["--hf-overrides", '{"num_labels": 1}'], {"num_labels": 1}),
        (['--hf_overrides={"num_labels": 1}'], {"num_labels": 1}),
        (["--hf-overrides.num_labels", "1"], {}),
        (["--hf-overrides", "no json"], {}),
        (["--hf-overrides", "[1]"], {}),
    ],
)
def test_what_replaces_values_of_the_config_is_known_before_the_start(args: list[str], found: dict[str, Any]) -> None:
    parsed = a_reranker(model=model(GTE), engine={"args": args}).spec
    assert found == command.overrides(parsed, command.entry_of(parsed))


@pytest.mark.parametrize("name", [QWEN, MXBAI])
def test_a_judge_is_given_its_prompt_and_lacks_none(name: str) -> None:
    parsed = a_reranker(model=model(name)).spec
    entry = command.entry_of(parsed)

    assert (True, False, False) == (
        command.has_prompt_template(parsed, entry),
        command.lacks_prompt_template(parsed, entry),
        command.is_truncation_safe(parsed, entry),
    )


def test_a_judge_of_ones_own_without_a_template_lacks_it() -> None:
    args = ["--hf-overrides", json.dumps({"classifier_from_token": ["no", "yes"]})]
    for given in (args, ["--hf-overrides.classifier_from_token+", "no,yes"]):
        parsed = a_reranker(model={"name": "me/mine"}, engine={"args": given}).spec
        assert command.lacks_prompt_template(parsed, command.entry_of(parsed))


def test_a_list_of_documents_has_the_catalogs_limit_unless_the_user_says_more() -> None:
    listwise = {"name": "jinaai/jina-reranker-v3"}

    assert "32" == variables(model=listwise)["RERANK_GUARD_MAX_DOCUMENTS"]
    # The default batch of 256 would be refused by the API server; this is about what the guard is told.
    assert "64" == variables(model=listwise, engine={"maxDocuments": 64})["RERANK_GUARD_MAX_DOCUMENTS"]
