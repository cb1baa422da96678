"""What is refused before an accelerator is taken for it, and what is accepted with a warning."""

import datetime as dt
from typing import Any

import pytest

from rerank_operator.api.conditions import MAX_MESSAGE_LENGTH, Condition, ConditionType
from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from rerank_operator.catalog.entry import Entry, Level
from rerank_operator.catalog.models import entries, lookup
from rerank_operator.engine import command
from rerank_operator.engine.versions import OLDEST
from rerank_operator.resources.acceptance import refusal_of, warnings_of
from tests.builders import a_reranker

IMAGE = "vllm/vllm-openai:v0.32.0"
ENTRIES = entries()
REFUSED = [entry for entry in ENTRIES if entry.refusal]
SERVED = [entry for entry in ENTRIES if not entry.refusal]
QWEN, QWEN_8B = "Qwen/Qwen3-Reranker-0.6B", "Qwen/Qwen3-Reranker-8B"
GTE = "Alibaba-NLP/gte-multilingual-reranker-base"
BGE = "BAAI/bge-reranker-v2-m3"
VOLUME = {"volume": {"claimName": "models"}}


def id_of(entry: Entry) -> str:
    return entry.id


def refused(image: str = IMAGE, **spec: Any) -> tuple[Reason, str] | None:
    return refusal_of(a_reranker(**spec).spec, image)


def reason(image: str = IMAGE, **spec: Any) -> Reason | None:
    found = refused(image, **spec)
    return found[0] if found else None


def detail(image: str = IMAGE, **spec: Any) -> str:
    found = refused(image, **spec)
    assert found is not None
    return found[1]


def message(image: str = IMAGE, **spec: Any) -> str:
    """What a person reads in the condition Accepted."""
    found = refused(image, **spec)
    assert found is not None
    return Condition(ConditionType.ACCEPTED, "False", *found).message


def with_args(*args: str, name: str = BGE, **spec: Any) -> tuple[Reason, str] | None:
    return refused(model={"name": name}, engine={"args": list(args)}, **spec)


def with_env(**variables: str) -> dict[str, Any]:
    return {"engine": {"env": [{"name": name, "value": value} for name, value in variables.items()]}}


def warned(**spec: Any) -> str:
    return " ".join(warnings_of(a_reranker(**spec).spec))


@pytest.mark.parametrize("entry", SERVED, ids=id_of)
def test_every_other_model_of_the_catalog_is_accepted(entry: Entry) -> None:
    for kind in ({"type": "CPU"}, {}, {"count": 2, "memory": "24Gi"}):
        model = {"name": entry.id, "trustRemoteCode": entry.trust_remote_code}
        assert None is refused(model=model, accelerator=kind)


def test_an_unknown_model_is_accepted() -> None:
    assert None is refused(model={"name": "me/mine"})


# The catalog.


@pytest.mark.parametrize("entry", REFUSED, ids=id_of)
def test_a_model_that_cannot_work_is_refused_with_a_better_idea(entry: Entry) -> None:
    said = message(model={"name": entry.id, "trustRemoteCode": True})

    assert entry.refusal is not None
    assert Reason.MODEL_REFUSED is reason(model={"name": entry.id})
    assert said.startswith(f"model.name is {entry.id}. {entry.refusal.reason} {entry.refusal.remedy}")
    assert said.endswith(f"{', '.join(entry.refusal.alternatives)}. {MEANINGS[Reason.MODEL_REFUSED].remedy}")
    assert len(said) <= MAX_MESSAGE_LENGTH
    assert "…" not in said
    assert "None" not in said


@pytest.mark.parametrize("entry", REFUSED, ids=id_of)
def test_the_better_idea_is_a_model_that_is_served(entry: Entry) -> None:
    assert entry.refusal is not None
    assert entry.refusal.alternatives
    assert [] == [name for name in entry.refusal.alternatives if lookup(name).refusal or not lookup(name).is_known]


def test_the_name_that_is_refused_is_the_one_that_was_written() -> None:
    small = "MixedBread-AI/mxbai-rerank-base-v1"
    assert detail(model={"name": small}).startswith(f"model.name is {small}. ")


def test_what_is_made_from_a_refused_model_is_refused() -> None:
    model = {"name": "me/mine", "basedOn": "mixedbread-ai/mxbai-rerank-base-v1"}

    assert Reason.MODEL_REFUSED is reason(model=model)
    assert detail(model=model).startswith("model.basedOn is mixedbread-ai/mxbai-rerank-base-v1. ")


@pytest.mark.parametrize(
    ("written", "meant"), [("Qwen/Qwen3-Reranker-06B", QWEN), ("baai-bge-reranker-v2-m3", BGE), ("zzz", None)]
)
def test_an_unknown_base_is_refused_and_a_similar_one_is_named(written: str, meant: str | None) -> None:
    model = {"name": "me/mine", "basedOn": written}
    said = detail(model=model)

    assert Reason.INVALID_SPEC is reason(model=model)
    assert said.startswith(f"model.basedOn is {written!r}, which the catalog does not have: ")
    assert said.endswith("lists" if meant is None else f"lists, such as {meant}")


@pytest.mark.parametrize(
    ("name", "kind", "original"),
    [
        ("mradermacher/Qwen3-Reranker-0.6B-GGUF", "GGUF", QWEN),
        ("gpustack/bge-reranker-v2-m3-gguf", "gguf", BGE),
        ("DevQuasar/Qwen.Qwen3-Reranker-4B.gguf", "gguf", "Qwen/Qwen3-Reranker-4B"),
        ("mlx-community/mxbai-rerank-base-v2-4bit", "mlx", "mixedbread-ai/mxbai-rerank-base-v2"),
        ("onnx-community/bge-reranker-base-ONNX", "onnx", "BAAI/bge-reranker-base"),
        ("OpenVINO/bge-reranker-base-fp16-ov", "OpenVINO", "BAAI/bge-reranker-base"),
        ("me/mine_onnx_int8", "onnx", None),
        ("me/mine-exl2-4.0bpw", "exl2", None),
    ],
)
def test_a_format_that_vllm_does_not_read_is_refused_with_the_original(
    name: str, kind: str, original: str | None
) -> None:
    seen = f"model.name is {name}: vLLM serves no reranker from {kind} files. "
    remedy = f"Name the repository that it was made from{f' ({original})' if original else ''}"

    assert (Reason.MODEL_REFUSED, seen + remedy) == refused(model={"name": name})


def test_a_base_does_not_make_a_format_readable() -> None:
    assert Reason.MODEL_REFUSED is reason(model={"name": "me/Qwen3-Reranker-0.6B-GGUF", "basedOn": QWEN})


@pytest.mark.parametrize("name", ["me/realmlx", "onnxoid/ranker", "me/bge-reranker-v2-m3-AWQ", "gguf2/me"])
def test_a_word_that_only_holds_a_format_is_a_name(name: str) -> None:
    assert None is refused(model={"name": name})


@pytest.mark.parametrize("entry", ENTRIES, ids=id_of)
def test_no_model_of_the_catalog_is_named_like_a_format(entry: Entry) -> None:
    assert "vLLM serves no reranker from" not in (refused(model={"name": entry.id}) or ("", ""))[1]


def test_files_on_a_volume_are_read_whatever_they_are_called() -> None:
    assert None is refused(model={"name": "mine-gguf", "source": VOLUME})


@pytest.mark.parametrize("entry", [entry for entry in SERVED if entry.trust_remote_code], ids=id_of)
def test_a_model_with_its_own_code_waits_for_somebody_who_trusts_it(entry: Entry) -> None:
    found = detail(model={"name": entry.id})

    assert Reason.TRUST_REMOTE_CODE_REQUIRED is reason(model={"name": entry.id})
    assert found.startswith(f"{entry.id} cannot be loaded without Python code that comes with it")
    assert found.endswith(f"(the catalog knows the commit {entry.revision})" if entry.revision else "with it")
    assert None is refused(model={"name": entry.id, "trustRemoteCode": True})


# The engine.


@pytest.mark.parametrize("entry", [entry for entry in SERVED if entry.engine.min], ids=id_of)
def test_an_engine_that_is_too_old_for_the_model_is_refused(entry: Entry) -> None:
    model = {"name": entry.id, "trustRemoteCode": True}
    first = f"vllm/vllm-openai:v{entry.engine.min}"

    assert None is refused(first, model=model)
    found = refused("vllm/vllm-openai:v0.10.1.1", model=model)
    assert found is not None
    assert Reason.ENGINE_TOO_OLD is found[0]


def test_the_release_that_is_needed_is_named() -> None:
    assert (
        Reason.ENGINE_TOO_OLD,
        f"{QWEN} needs vLLM 0.14.0 or newer, and the image has 0.13.0",
    ) == refused(model={"name": QWEN}, engine={"image": "registry.example.com/vllm-openai:v0.13.0"})


@pytest.mark.parametrize("image", ["vllm/vllm-openai:v0.9.2", "vllm/vllm-openai:0.10.1", "mirror/vllm:0.8.5"])
def test_an_engine_that_is_too_old_for_the_operator_is_refused(image: str) -> None:
    written = ".".join(map(str, OLDEST))

    assert Reason.ENGINE_TOO_OLD is reason(engine={"image": image})
    assert detail(engine={"image": image}).startswith(f"The operator needs vLLM {written} or newer, and the image has ")


@pytest.mark.parametrize(
    "image",
    [
        "vllm/vllm-openai:latest",
        "vllm/vllm-openai@sha256:0000",
        "registry.example.com/search/engine:0.3",
        "registry.example.com/search/engine:2.1.0",
        "vllm/vllm-openai:v0.33.0",
    ],
)
def test_an_image_that_tells_no_release_is_given_the_benefit_of_the_doubt(image: str) -> None:
    assert None is refused(model={"name": QWEN}, engine={"image": image})


def test_the_last_release_that_serves_a_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ernie = lookup(BGE).model_copy(update={"engine": lookup(BGE).engine.model_copy(update={"max": "0.23.0"})})
    monkeypatch.setattr(command, "entry_of", lambda _: ernie)

    assert None is refused("vllm/vllm-openai:v0.23.0")
    assert (
        Reason.ENGINE_TOO_OLD,
        f"vLLM 0.23.0 is the last that serves {BGE}, and the image has 0.32.0",
    ) == refused()


def test_the_image_of_the_spec_counts_before_the_operators() -> None:
    assert None is refused("vllm/vllm-openai:v0.13.0", model={"name": QWEN}, engine={"image": IMAGE})


# Lengths and arguments.


def test_a_pair_longer_than_the_model_takes_is_refused() -> None:
    assert (
        Reason.INVALID_SPEC,
        "model.maxLength is 1024, and BAAI/bge-reranker-base takes at most 512 tokens",
    ) == refused(model={"name": "BAAI/bge-reranker-base", "maxLength": 1024})


@pytest.mark.parametrize("length", [512, 8192, 40960])
def test_a_length_within_the_model_is_accepted(length: int) -> None:
    assert None is refused(model={"name": QWEN, "maxLength": length})


def test_of_an_unknown_model_any_length_is_accepted() -> None:
    assert None is refused(model={"name": "me/mine", "maxLength": 100_000})


CONTRADICTIONS: dict[str, tuple[list[str], str]] = {
    "another runner": (["--runner", "generate"], "--runner generate, and rerankers need the runner pooling"),
    "another runner, otherwise written": (["--runner=draft"], "--runner draft, and rerankers"),
    "another task": (["--task", "reward"], "--task reward, and rerankers"),
    "a conversion that leaves out the head": (["--convert", "embed"], "--convert embed, which leaves out the part of"),
    "an old task that leaves out the head": (["--task=embedding"], "--task embedding, which leaves out the part of"),
    "no server": (["--headless"], "--headless: then nothing listens on the port of the pod"),
    "a socket": (["--uds", "/tmp/x"], "--uds: then nothing listens on the port of the pod"),
    "another protocol": (["--ssl-certfile=/c.pem"], "--ssl-certfile: then probes and Milvus would have to speak HTTPS"),
    "no tokenizer": (["--skip-tokenizer-init"], "--skip-tokenizer-init: then the engine cannot read text"),
    "two words in one": (["--max-num-seqs 8"], "'--max-num-seqs 8' as one argument, which vLLM does not know: write"),
    "a word without an option": (["8"], "'8', which is no option: vLLM knows the model already"),
    "the beginning of a reserved option": (["--max-model", "8"], "--max-model, which vLLM may read as --max-model-len"),
    "no JSON": (["--hf-overrides", "{x}"], '--hf-overrides {x}: write a JSON object such as {"num_labels": 1}'),
    "no object": (["--hf-overrides=[1]"], "--hf-overrides [1]: write a JSON object"),
    "a batch smaller than a pair": (
        ["--max-num-batched-tokens", "4096"],
        "--max-num-batched-tokens 4096, which is less than the 8192 tokens of a pair",
    ),
    "more sequences than tokens": (
        ["--max-num-seqs=9000", "--max-num-batched-tokens", "8192"],
        "--max-num-seqs 9000, which is more than --max-num-batched-tokens 8192",
    ),
    "more than all of a card": (["--gpu-memory-utilization", "1.5"], "--gpu-memory-utilization 1.5, which is a part"),
    "per cent": (["--gpu-memory-utilization=50%"], "--gpu-memory-utilization 50%, which is a part"),
    "nothing of a card": (["--gpu-memory-utilization", "0"], "--gpu-memory-utilization 0, which is a part"),
    "more stages than devices": (["--pipeline-parallel-size", "2"], "--pipeline-parallel-size 2, and the pod's"),
    "more copies than devices": (["-dp", "2"], "--data-parallel-size 2, and the pod's accelerators (1) are all taken"),
    "more copies, otherwise written": (["-dp=4"], "--data-parallel-size 4, and the pod's accelerators (1)"),
}


@pytest.mark.parametrize(("args", "said"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_an_argument_that_cannot_work_is_named_with_a_remedy(args: list[str], said: str) -> None:
    found = with_args(*args)

    assert found is not None
    assert (Reason.INVALID_SPEC, True) == (found[0], found[1].startswith(("engine.args holds ", "engine.args begins ")))
    assert said in found[1]
    assert any(word in found[1] for word in ("Remove it", "Set at least", "write", "Lower", "use spec.", "a number"))


FINE: dict[str, tuple[str, list[str]]] = {
    "the runner that we name too": (BGE, ["--runner", "pooling"]),
    "a classifier": (BGE, ["--convert=classify"]),
    "an embedding model that embeds": ("BAAI/bge-m3", ["--convert", "embed"]),
    "an unknown model that embeds": ("me/mine", ["--convert", "embed"]),
    "a batch of one pair": (BGE, ["--max-num-batched-tokens", "8192"]),
    "a batch smaller than a pair of a model that reads in parts": (QWEN, ["--max-num-batched-tokens", "2048"]),
    "a number as people write it": (BGE, ["--max-num-batched-tokens", "16k"]),
    "all of a card": (BGE, ["--gpu-memory-utilization", "1"]),
    "a JSON value with spaces": (BGE, ['--hf-overrides={"num_labels": 1}']),
    "a key behind a dot": (BGE, ["--hf-overrides.num_labels", "1"]),
    "an option that begins like a reserved one": (BGE, ["--model-impl", "auto", "--host-x", "1"]),
    "a short option": (BGE, ["-O", "1"]),
    "one copy": (BGE, ["-dp", "1", "--pipeline-parallel-size=1"]),
    "no arguments": (BGE, []),
}


@pytest.mark.parametrize(("name", "args"), FINE.values(), ids=FINE)
def test_other_arguments_are_the_users(name: str, args: list[str]) -> None:
    assert None is with_args(*args, name=name)


def test_what_claims_bring_may_hold_more_copies() -> None:
    claims = [{"name": "gpus", "resourceClaimTemplateName": "four"}]
    assert None is with_args("-dp", "2", accelerator={"claims": claims, "count": 2})
    assert None is with_args("-dp", "2", accelerator={"type": "CPU"})


VARIABLES: dict[str, tuple[dict[str, str], str]] = {
    "a key that protects nothing": ({"VLLM_API_KEY": "x"}, "VLLM_API_KEY, which leaves /rerank open"),
    "a path without the guard": ({"PYTHONPATH": "/plugins"}, "PYTHONPATH to '/plugins', and vLLM would not find"),
    "no hub": ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE, and the model is to be downloaded"),
    "no hub, otherwise written": ({"TRANSFORMERS_OFFLINE": "true"}, "TRANSFORMERS_OFFLINE, and the model is to be"),
}


@pytest.mark.parametrize(("variables", "said"), VARIABLES.values(), ids=VARIABLES)
def test_a_variable_that_cannot_work_is_named_with_a_remedy(variables: dict[str, str], said: str) -> None:
    assert Reason.INVALID_SPEC is reason(**with_env(**variables))
    assert said in detail(**with_env(**variables))
    assert detail(**with_env(**variables)).startswith("engine.env sets ")


def test_other_variables_are_the_users() -> None:
    cached = {"name": BGE, "source": {"huggingFace": {"cache": {"claimName": "models"}}}}

    assert None is refused(**with_env(PYTHONPATH="/plugins:/opt/rerank-operator"))
    assert None is refused(**with_env(HF_HUB_OFFLINE="0", VLLM_LOGGING_LEVEL="DEBUG"))
    assert None is refused(model=cached, **with_env(HF_HUB_OFFLINE="1"))
    assert None is refused(model={"name": BGE, "source": VOLUME}, **with_env(HF_HUB_OFFLINE="1"))
    assert None is refused(engine={"guard": "Disabled", "env": [{"name": "PYTHONPATH", "value": "/plugins"}]})


def test_a_pod_template_that_breaks_a_promise_is_refused() -> None:
    found = refused(podTemplate={"spec": {"restartPolicy": "Never"}})

    assert found is not None
    assert Reason.INVALID_SPEC is found[0]
    assert "podTemplate.spec.restartPolicy is 'Never'" in found[1]


# Sizes.


def test_an_accelerator_without_room_for_one_pair_is_refused() -> None:
    spec: dict[str, Any] = {"model": {"name": QWEN_8B}, "accelerator": {"memory": "16Gi"}}

    assert (
        Reason.ACCELERATOR_TOO_SMALL,
        f"{QWEN_8B} needs about 18.9 GiB of memory at 8192 tokens, and accelerator.memory is 16Gi",
    ) == refused(**spec)
    assert message(**spec).endswith(MEANINGS[Reason.ACCELERATOR_TOO_SMALL].remedy)


@pytest.mark.parametrize(
    ("name", "accelerator"),
    [
        (QWEN_8B, {"memory": "24Gi"}),
        (QWEN_8B, {"memory": "16Gi", "count": 2}),
        ("Qwen/Qwen3-Reranker-4B", {"memory": "16Gi"}),
        ("mixedbread-ai/mxbai-rerank-large-v2", {"memory": "8Gi"}),
        (QWEN, {"memory": "6Gi"}),
        (BGE, {"memory": "5Gi", "resourceName": "nvidia.com/mig-1g.5gb"}),
        (QWEN_8B, {}),
        ("me/mine", {"memory": "1Gi"}),
    ],
)
def test_an_accelerator_that_has_room_is_accepted(name: str, accelerator: dict[str, Any]) -> None:
    assert None is refused(model={"name": name}, accelerator=accelerator)


def test_parts_of_one_gpu_are_no_more_memory_than_one() -> None:
    shared = {"resourceName": "nvidia.com/gpu.shared", "count": 2, "memory": "16Gi"}
    assert Reason.ACCELERATOR_TOO_SMALL is reason(model={"name": QWEN_8B}, accelerator=shared)


def test_a_shorter_pair_may_make_the_model_fit() -> None:
    def fits(length: int) -> bool:
        return None is refused(model={"name": QWEN, "maxLength": length}, accelerator={"memory": "4Gi"})

    assert (True, False) == (fits(2048), fits(8192))


def test_float32_needs_twice_as_much() -> None:
    spec: dict[str, Any] = {"model": {"name": "Qwen/Qwen3-Reranker-4B"}, "accelerator": {"memory": "16Gi"}}

    assert None is refused(**spec)
    assert Reason.ACCELERATOR_TOO_SMALL is reason(**spec, engine={"dtype": "float32"})
    assert "needs about 19.7 GiB" in detail(**spec, engine={"dtype": "float32"})


@pytest.mark.parametrize(
    "args", [["--gpu-memory-utilization", "0.9"], ["--quantization", "fp8"], ["-q", "fp8"]], ids=lambda args: args[0]
)
def test_who_says_how_much_memory_to_take_is_believed(args: list[str]) -> None:
    assert None is with_args(*args, name=QWEN_8B, accelerator={"memory": "16Gi"})


def test_what_is_made_from_a_model_is_told_whose_figures_these_are() -> None:
    spec: dict[str, Any] = {"model": {"name": "me/mine-AWQ", "basedOn": QWEN_8B}, "accelerator": {"memory": "12Gi"}}
    assert detail(**spec).endswith(
        f"The figures are those of {QWEN_8B}; for smaller files give --gpu-memory-utilization in engine.args"
    )


def test_a_pod_on_a_cpu_needs_memory_for_the_weights() -> None:
    def limited(amount: str, **spec: Any) -> tuple[Reason, str] | None:
        return refused(accelerator={"type": "CPU"}, resources={"limits": {"memory": amount}}, **spec)

    assert (
        Reason.INVALID_SPEC,
        f"resources.limits.memory is 2Gi, and the weights of {BGE} alone take 2.1 GiB as float32. Set at least 7Gi",
    ) == limited("2Gi")
    assert None is limited("3Gi")
    assert None is limited("2Gi", engine={"dtype": "bfloat16"})
    assert None is limited("2Gi", model={"name": "me/mine"})
    assert None is limited("2e9")  # a quantity too, and nobody writes it
    assert None is refused(resources={"limits": {"memory": "2Gi"}})  # the weights lie on the GPU


def test_a_cache_needs_room_for_the_files() -> None:
    def cached(**cache: Any) -> tuple[Reason, str] | None:
        return refused(model={"name": QWEN_8B, "source": {"huggingFace": {"cache": cache}}})

    assert (
        Reason.INVALID_SPEC,
        f"model.source.huggingFace.cache.size is 10Gi, and the files of {QWEN_8B} take 15.2 GiB. Set at least 17Gi",
    ) == cached(size="10Gi")
    assert None is cached(size="20Gi")
    assert None is cached(claimName="models")


def test_a_model_made_from_a_larger_one_may_have_smaller_files() -> None:
    source = {"huggingFace": {"cache": {"size": "10Gi"}}}
    assert None is refused(model={"name": "me/mine-AWQ", "basedOn": QWEN_8B, "source": source})


# Messages.

LONGEST: dict[str, dict[str, Any]] = {
    "name": {"model": {"name": "a" * 240 + "-GGUF"}},
    "basedOn": {"model": {"name": "me/mine", "basedOn": "a" * 253}},
    "maxLength": {"model": {"name": BGE, "maxLength": 1_000_000}},
    "memory": {"model": {"name": "a" * 253, "basedOn": QWEN_8B}, "accelerator": {"memory": "1Gi"}},
}


@pytest.mark.parametrize("spec", LONGEST.values(), ids=LONGEST)
def test_the_remedy_is_never_cut_off(spec: dict[str, Any]) -> None:
    found = refused(**spec)

    assert found is not None
    assert "…" not in message(**spec)
    assert len(message(**spec)) <= MAX_MESSAGE_LENGTH


def test_an_endless_argument_is_cut_and_the_remedy_of_the_reason_stays() -> None:
    said = message(engine={"args": ["--hf-overrides", "x" * 4000]})

    assert len(said) <= MAX_MESSAGE_LENGTH
    assert said.endswith(MEANINGS[Reason.INVALID_SPEC].remedy)


# Warnings.


@pytest.mark.parametrize("entry", SERVED, ids=id_of)
def test_every_warning_of_a_model_fits_into_the_condition(entry: Entry) -> None:
    said = warned(model={"name": entry.id, "trustRemoteCode": entry.trust_remote_code})

    assert len(MEANINGS[Reason.ACCEPTED].when) + len(" Note: ") + len(said) < MAX_MESSAGE_LENGTH
    assert entry.warning in said


@pytest.mark.parametrize("entry", [e for e in SERVED if e.licence and e.licence.non_commercial], ids=id_of)
def test_a_licence_that_forbids_commercial_use_is_told(entry: Entry) -> None:
    assert entry.licence is not None
    said = warned(model={"name": entry.id, "trustRemoteCode": entry.trust_remote_code})

    assert f"The licence {entry.licence.spdx} forbids commercial use (read {entry.licence.as_of} in the " in said


@pytest.mark.parametrize("entry", [e for e in SERVED if e.kind == "biEncoder"], ids=id_of)
def test_an_embedding_model_is_called_one(entry: Entry) -> None:
    assert "embedding model, not a reranker" in warned(model={"name": entry.id})


@pytest.mark.parametrize("entry", SERVED, ids=id_of)
def test_a_model_that_nobody_saw_rank_says_so(entry: Entry) -> None:
    assert entry.verified is not None
    assert entry.verified.date <= dt.datetime.now(dt.UTC).date()
    seen = entry.verified.level not in (Level.UNVERIFIED, Level.CONFIG_RESOLVES)
    said = f"Nobody is known to have served {entry.id} with vLLM: the verification decides."

    assert seen == (said not in warned(model={"name": entry.id}))


def test_a_known_reranker_under_a_free_licence_is_warned_of_nothing() -> None:
    assert [] == warnings_of(a_reranker().spec)


def test_an_unknown_model_is_told_who_decides() -> None:
    assert "me/mine is not in the catalog: its files decide" in warned(model={"name": "me/mine"})


@pytest.mark.parametrize(
    ("model", "is_told"),
    [
        ({"name": GTE}, False),
        ({"name": GTE, "revision": "main"}, True),
        ({"name": GTE, "source": {"huggingFace": {"endpoint": "https://hub.example.com"}}}, True),
        ({"name": "me/mine", "basedOn": GTE}, True),
        ({"name": "me/mine"}, True),
        ({"name": "me/mine", "revision": "0" * 40}, False),
        ({"name": "mine", "source": VOLUME}, False),
        ({"name": "nvidia/llama-nemotron-rerank-vl-1b-v2"}, True),
    ],
)
def test_code_that_may_change_is_told(model: dict[str, Any], is_told: bool) -> None:
    said = warned(model={**model, "trustRemoteCode": True})
    assert is_told == ("The model's code may change under you: pin model.revision" in said)


def test_code_that_nobody_runs_is_not_told() -> None:
    assert "code may change" not in warned(model={"name": "me/mine"})


@pytest.mark.parametrize(
    ("model", "is_told"),
    [
        ({"name": "me/mine"}, True),
        ({"name": "me/mine", "revision": "main"}, True),
        ({"name": "me/mine", "revision": "0" * 40}, False),
        ({"name": "BAAI/bge-reranker-v2-m3"}, False),
        ({"name": "mine", "source": VOLUME}, False),
    ],
)
def test_a_model_whose_pods_may_differ_is_told(model: dict[str, Any], is_told: bool) -> None:
    assert is_told == ("another commit of the model: pin model.revision" in warned(model=model))


def test_code_that_may_be_missing_on_a_volume_is_told() -> None:
    said = "The model's code is in a repository of its own, which may be missing beside the model"

    assert said in warned(model={"name": GTE, "trustRemoteCode": True, "source": VOLUME})
    assert said not in warned(model={"name": GTE, "trustRemoteCode": True})


def test_a_limit_that_cuts_off_the_end_of_a_prompt_is_told() -> None:
    cut, said = {"milvus": {"truncatePromptTokens": -1}}, "milvus.truncatePromptTokens cuts off the end of a long"

    assert said in warned(model={"name": QWEN}, **cut)
    assert said in warned(model={"name": "jinaai/jina-reranker-v3"}, **cut)
    assert said not in warned(model={"name": QWEN})
    assert said not in warned(**cut)
