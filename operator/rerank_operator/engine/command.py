"""How vLLM is started: command line and environment.

Only flags that exist from vLLM 0.10 to 0.33 are used: an unknown flag ends the process with exit code 2.
"""

from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import AcceleratorType, Dtype, Guard, RerankServiceSpec
from rerank_operator.catalog.models import Entry

MODEL_MOUNT: Final = "/models"
FILES_MOUNT: Final = "/opt/rerank-operator"
RUN_MOUNT: Final = "/run/rerank-operator"
HOME: Final = "/home/vllm"
GUARD_FILE: Final = "rerank_guard.py"
PROBE_FILE: Final = "rerank_probe.py"
KEYS_MOUNT: Final = "/etc/rerank-operator/keys"
DRAIN_TOKEN_FILE: Final = f"{RUN_MOUNT}/drain-token"
# No larger batch can be published, and a request without any limit can fill the memory.
MAX_DOCUMENTS: Final = 4096

# A retired pod serves this long while clients move away, then Milvus's own 30 s request timeout passes.
LAME_SECONDS: Final = 5
DRAIN_SECONDS: Final = 30
GRACE_SECONDS: Final = LAME_SECONDS + DRAIN_SECONDS + 30


def build_command(spec: RerankServiceSpec, entry: Entry) -> list[str]:
    """`vllm serve MODEL` and its arguments; the user's own come last, so that they win where vLLM lets them."""
    model = spec.model
    command = ["vllm", "serve", _model_argument(spec), "--served-model-name", model.name]
    command += ["--runner", "pooling", "--port", str(names.ENGINE_PORT), "--dtype", dtype(spec)]
    if model.revision:
        command += ["--revision", model.revision]
    if limit := max_length(spec, entry):
        command += ["--max-model-len", str(limit)]
    if model.trust_remote_code:
        command.append("--trust-remote-code")
    if gpu_count(spec) > 1:
        command += ["--tensor-parallel-size", str(gpu_count(spec))]
    if spec.accelerator.type is AcceleratorType.CPU:
        command.append("--enforce-eager")  # compiling doubles the start time on a CPU and gains nothing
    if spec.engine.guard is Guard.ENABLED:
        command += ["--middleware", "rerank_guard.Guard"]
    return command + spec.engine.args


def build_environment(spec: RerankServiceSpec) -> list[dict[str, Any]]:
    """Environment of the engine container, as the `env` list of a Pod; the user's own entries replace ours."""
    env: dict[str, dict[str, Any]] = {}

    def put(name: str, value: str) -> None:
        env[name] = {"name": name, "value": value}

    put("HOME", HOME)
    put("USER", "vllm")  # getpwuid fails for a user id that the image does not know
    put("HF_HOME", f"{HOME}/huggingface")
    put("VLLM_NO_USAGE_STATS", "1")
    put("DO_NOT_TRACK", "1")
    put("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "120")  # Milvus reuses a connection for up to 90 s; vLLM would close it after 5
    if spec.accelerator.type is AcceleratorType.CPU:
        put("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB; without it vLLM wants 92 % of the node's memory
    if spec.engine.guard is Guard.ENABLED:
        put("PYTHONPATH", FILES_MOUNT)
        for name, value in _guard_environment(spec).items():
            put(name, value)
    _put_source(env, spec)
    for variable in spec.engine.env:
        env[variable.name] = variable.model_dump(exclude_none=True)
    return list(env.values())


def _guard_environment(spec: RerankServiceSpec) -> dict[str, str]:
    env = {"RERANK_GUARD_TOKEN_FILE": DRAIN_TOKEN_FILE, "RERANK_GUARD_MAX_DOCUMENTS": str(max_documents(spec))}
    if spec.access.bearer_secret_ref:
        env["RERANK_GUARD_KEYS_DIR"] = KEYS_MOUNT
    if not has_prompt_template(spec):
        env["RERANK_GUARD_TRUNCATE_PROMPT_TOKENS"] = "-1"  # at the model's own limit
    if not spec.engine.return_documents:
        env["RERANK_GUARD_STRIP_DOCUMENTS"] = "true"
    return env


def probe_command() -> list[str]:
    """Exec probe for pods without the guard: a complete rerank answer, or exit code 1."""
    script = f"{FILES_MOUNT}/{PROBE_FILE}"
    return ["python3", "-I", "-S", script, "--port", str(names.ENGINE_PORT), "--timeout", "10"]


def pre_stop_command(*, guard: bool) -> list[str]:
    """What runs before SIGTERM. vLLM fails requests in flight on SIGTERM, so it must be idle by then."""
    if not guard:
        return ["sleep", str(LAME_SECONDS + DRAIN_SECONDS)]
    drain = ["drain", "--lame", str(LAME_SECONDS), "--timeout", str(DRAIN_SECONDS), "--port", str(names.ENGINE_PORT)]
    return ["python3", "-I", "-S", f"{FILES_MOUNT}/{GUARD_FILE}", *drain]


def dtype(spec: RerankServiceSpec) -> str:
    """Number format: what the spec says, else float32 on a CPU, where bfloat16 costs twice the time."""
    if spec.engine.dtype is not None:
        return str(spec.engine.dtype)
    return str(Dtype.FLOAT32 if spec.accelerator.type is AcceleratorType.CPU else Dtype.AUTO)


def gpu_count(spec: RerankServiceSpec) -> int:
    """GPUs per pod; 0 on a CPU."""
    if spec.accelerator.type is AcceleratorType.CPU:
        return 0
    return spec.accelerator.count or 1


def max_length(spec: RerankServiceSpec, entry: Entry) -> int | None:
    """Tokens per pair: the spec's number, else the catalog's, else None (vLLM asks the model)."""
    return spec.model.max_length or entry.max_length


def max_documents(spec: RerankServiceSpec) -> int | None:
    """Documents that one request may hold; None where no guard counts them."""
    if spec.engine.guard is not Guard.ENABLED:
        return None
    return spec.engine.max_documents or MAX_DOCUMENTS


def has_prompt_template(spec: RerankServiceSpec) -> bool:
    """Whether documents are put into a prompt; truncation would cut off the end of that prompt."""
    return any(arg == "--chat-template" or arg.startswith("--chat-template=") for arg in spec.engine.args)


def lacks_prompt_template(spec: RerankServiceSpec) -> bool:
    """Whether the model is told to judge with a word of a language model, and is given no prompt to do so."""
    return any("classifier_from_token" in arg for arg in spec.engine.args) and not has_prompt_template(spec)


def _model_argument(spec: RerankServiceSpec) -> str:
    source = spec.model.source
    if source and source.volume:
        return f"{MODEL_MOUNT}/{source.volume.path}".rstrip("/")
    return spec.model.name


def _put_source(env: dict[str, dict[str, Any]], spec: RerankServiceSpec) -> None:
    source = spec.model.source
    if source and source.volume:
        env["HF_HUB_OFFLINE"] = {"name": "HF_HUB_OFFLINE", "value": "1"}
    if source and source.hugging_face:
        if source.hugging_face.endpoint:
            env["HF_ENDPOINT"] = {"name": "HF_ENDPOINT", "value": source.hugging_face.endpoint}
        if ref := source.hugging_face.token_secret_ref:
            env["HF_TOKEN"] = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": ref.model_dump()}}
