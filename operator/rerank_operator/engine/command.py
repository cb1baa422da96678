"""How vLLM is started: command line and environment.

An unknown flag ends the process with exit code 2, so that a flag is only used where the version knows it.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import Dtype, Guard, ModelCache, RerankServiceSpec
from rerank_operator.catalog.entry import Entry
from rerank_operator.catalog.models import lookup
from rerank_operator.engine.devices import card_gib, gpu_count, platform_of, takes_gpu_memory
from rerank_operator.engine.sizing import Demand, cpu_cache_gib, demand_of, memory_arguments
from rerank_operator.engine.versions import Version, knows

MODEL_MOUNT: Final = "/models"
FILES_MOUNT: Final = "/opt/rerank-operator"
RUN_MOUNT: Final = "/run/rerank-operator"
HOME: Final = "/home/vllm"
GUARD_FILE: Final = "rerank_guard.py"
PROBE_FILE: Final = "rerank_probe.py"
TEMPLATE_FILE: Final = "prompt.jinja"
KEYS_MOUNT: Final = "/etc/rerank-operator/keys"
CA_MOUNT: Final = "/etc/rerank-operator/ca"
CA_FILE: Final = "ca.crt"
DRAIN_TOKEN_FILE: Final = f"{RUN_MOUNT}/drain-token"
# Arguments that only the model's own files tell; written by `check_model.py`.
ENGINE_FILE: Final = f"{RUN_MOUNT}/engine.yaml"
COMPILED_MOUNT: Final = f"{MODEL_MOUNT}/.vllm-cache"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
# Python's ssl and httpx, requests, curl.
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# No larger batch can be published, and a request without any limit can fill the memory.
MAX_DOCUMENTS: Final = 4096

# A retired pod serves this long while clients move away, then Milvus's own 30 s request timeout passes.
LAME_SECONDS: Final = 5
DRAIN_SECONDS: Final = 30
GRACE_SECONDS: Final = LAME_SECONDS + DRAIN_SECONDS + 30


def entry_of(spec: RerankServiceSpec) -> Entry:
    """The catalog's entry that a model is served by."""
    return lookup(spec.model.based_on or spec.model.name)


def build_command(spec: RerankServiceSpec, entry: Entry, version: Version | None = None) -> list[str]:
    """`vllm serve MODEL` and its arguments for a version of vLLM (None: a current one).

    The user's own arguments come last, so that they win; ours of the same name are left out.
    """
    model = spec.model
    command = ["vllm", "serve", model_folder(spec, entry), "--served-model-name", model.name]
    command += ["--runner", "pooling", "--port", str(names.ENGINE_PORT), "--dtype", dtype(spec)]
    if limit := max_length(spec, entry):
        command += ["--max-model-len", str(limit)]
    if model.trust_remote_code:
        command.append("--trust-remote-code")
    if platform_of(spec).shards and gpu_count(spec) > 1:
        command += ["--tensor-parallel-size", str(gpu_count(spec))]
    command += platform_of(spec).arguments
    if spec.engine.guard is Guard.ENABLED:
        command += ["--middleware", "rerank_guard.Guard"]
    for flag, value in _recipe(spec, entry).items():
        if not gives(spec.engine.args, flag) and knows(flag, version):
            command += [flag, value]
    return command + spec.engine.args


def _recipe(spec: RerankServiceSpec, entry: Entry) -> dict[str, str]:
    """What this model needs beyond what every reranker needs, by flag."""
    recipe: dict[str, str] = {}
    if not entry.is_known:
        return {"--config": ENGINE_FILE}
    if entry.code_revision and spec.model.trust_remote_code:
        recipe["--code-revision"] = entry.code_revision
    if entry.hf_overrides:
        recipe["--hf-overrides"] = json.dumps(entry.hf_overrides)
    if entry.template:
        recipe["--chat-template"] = f"{FILES_MOUNT}/{TEMPLATE_FILE}"
    if takes_gpu_memory(spec) and not sets_memory(spec):
        recipe |= memory_arguments(demand(spec, entry), card_gib(spec))
    return recipe


def build_environment(spec: RerankServiceSpec, entry: Entry) -> list[dict[str, Any]]:
    """Environment of the engine container, as the `env` list of a Pod; the user's own entries replace ours."""
    env: dict[str, dict[str, Any]] = {}

    def put(name: str, value: str) -> None:
        env[name] = {"name": name, "value": value}

    put("HOME", HOME)
    put("USER", "vllm")  # getpwuid fails for a user id that the image does not know
    put("HF_HOME", f"{HOME}/huggingface")
    put("VLLM_NO_USAGE_STATS", "1")
    put("DO_NOT_TRACK", "1")
    if cache(spec):
        put("VLLM_CACHE_ROOT", COMPILED_MOUNT)
    if not _asks_the_hub(spec):
        put("HF_HUB_OFFLINE", "1")
    put("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", "120")  # Milvus reuses a connection for up to 90 s; vLLM would close it after 5
    for name, value in platform_of(spec).environment.items():
        put(name, value)
    if variable := platform_of(spec).cache_variable:
        put(variable, str(cpu_cache_gib(demand(spec, entry))))
    if spec.engine.guard is Guard.ENABLED:
        put("PYTHONPATH", FILES_MOUNT)
        for name, value in _guard_environment(spec, entry).items():
            put(name, value)
    of_the_hub = hub_environment(spec) if _asks_the_hub(spec) else []
    env |= {variable["name"]: variable for variable in (*of_the_hub, *network_environment(spec))}
    for variable in spec.engine.env:
        env[variable.name] = variable.model_dump(exclude_none=True)
    return list(env.values())


def _asks_the_hub(spec: RerankServiceSpec) -> bool:
    """Whether the engine itself may ask the hub: the code of a model may lie in another repository than its weights."""
    return is_fetched(spec) and spec.model.trust_remote_code


def _guard_environment(spec: RerankServiceSpec, entry: Entry) -> dict[str, str]:
    env = {"RERANK_GUARD_TOKEN_FILE": DRAIN_TOKEN_FILE, "RERANK_GUARD_MAX_DOCUMENTS": str(max_documents(spec, entry))}
    if spec.access.bearer_secret_ref:
        env["RERANK_GUARD_KEYS_DIR"] = KEYS_MOUNT
    if is_truncation_safe(spec, entry):
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
    """Number format: what the spec says, else what suits the accelerator."""
    return str(spec.engine.dtype or platform_of(spec).dtype)


def demand(spec: RerankServiceSpec, entry: Entry) -> Demand | None:
    """What the model takes of the memory of each accelerator of a pod; None without figures."""
    number_bytes = 4 if dtype(spec) == Dtype.FLOAT32 else 2
    return demand_of(entry, max_length(spec, entry), max(1, gpu_count(spec)), number_bytes)


def max_length(spec: RerankServiceSpec, entry: Entry) -> int | None:
    """Tokens per pair: the spec's number, else the catalog's, else None (the model's files tell)."""
    return spec.model.max_length or entry.served_length


def max_documents(spec: RerankServiceSpec, entry: Entry) -> int | None:
    """Documents that one request may hold; None where no guard counts them."""
    if spec.engine.guard is not Guard.ENABLED:
        return None
    return spec.engine.max_documents or entry.max_documents or MAX_DOCUMENTS


def has_prompt_template(spec: RerankServiceSpec, entry: Entry) -> bool:
    """Whether documents are put into a prompt."""
    return entry.template is not None or gives(spec.engine.args, "--chat-template")


def is_truncation_safe(spec: RerankServiceSpec, entry: Entry) -> bool:
    """Whether a long pair may be cut at its end; with a prompt that would cut off the prompt's own end."""
    return entry.truncation_safe and not has_prompt_template(spec, entry)


def lacks_prompt_template(spec: RerankServiceSpec, entry: Entry) -> bool:
    """Whether the model is told to judge with a word of a language model, and is given no prompt to do so."""
    return any("classifier_from_token" in arg for arg in spec.engine.args) and not has_prompt_template(spec, entry)


def overrides(spec: RerankServiceSpec, entry: Entry) -> dict[str, Any]:
    """What replaces values of config.json: the user's own, else the catalog's; {} where the user's cannot be read."""
    if not gives(spec.engine.args, "--hf-overrides"):
        return entry.hf_overrides
    try:
        given = json.loads(value_of(spec.engine.args, "--hf-overrides"))
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def gives(args: Sequence[str], flag: str) -> bool:
    """Whether arguments hold a flag, in any way that vLLM reads it."""
    return any(flag_of(arg) == flag for arg in args)


def flag_of(arg: str) -> str:
    """The flag in an argument, with dashes; empty in one that holds none.

    vLLM takes underscores for dashes, a value behind =, and a key of a JSON value behind a dot.
    """
    return arg.partition("=")[0].partition(".")[0].replace("_", "-") if arg.startswith("--") else ""


def value_of(args: Sequence[str], flag: str) -> str:
    """Value of the last argument with this flag; empty where there is none, or only one for a key behind a dot."""
    found = ""
    for arg, following in itertools.zip_longest(args, args[1:], fillvalue=""):
        if flag_of(arg) == flag and "." not in arg.partition("=")[0]:
            found = arg.partition("=")[2] or following
    return found


def sets_memory(spec: RerankServiceSpec) -> bool:
    """Whether the user's own arguments say how much memory to take."""
    return any(gives(spec.engine.args, flag) for flag in ("--gpu-memory-utilization", "--kv-cache-memory-bytes"))


def is_fetched(spec: RerankServiceSpec) -> bool:
    """Whether the model comes from a hub."""
    source = spec.model.source
    return not (source and (source.volume or source.host_path or source.image))


def cache(spec: RerankServiceSpec) -> ModelCache | None:
    """The volume that keeps a download."""
    source = spec.model.source
    return source.hugging_face.cache if source and source.hugging_face else None


def model_revision(spec: RerankServiceSpec, entry: Entry) -> str | None:
    """Commit, tag or branch: the spec's, else the one that the catalog read; None for a model without revisions.

    The catalog's holds for its own model on the public hub only: a mirror may not have that commit.
    """
    source = spec.model.source
    own: str | None = spec.model.revision
    if own or not is_fetched(spec):
        return own
    is_mirror = bool(source and source.hugging_face and source.hugging_face.endpoint)
    is_the_entrys = entry.id.lower() == spec.model.name.lower()
    return entry.revision if is_the_entrys and not is_mirror else None


def model_folder(spec: RerankServiceSpec, entry: Entry) -> str:
    """Where the model's files are inside the pod."""
    source = spec.model.source
    if source and source.volume:
        return f"{MODEL_MOUNT}/{source.volume.path}".rstrip("/")
    if source and source.image:
        return f"{MODEL_MOUNT}/{source.image.path}".rstrip("/")
    if source and source.host_path:
        return MODEL_MOUNT
    return f"{MODEL_MOUNT}/{spec.model.name}/{model_revision(spec, entry) or 'main'}"


def network_environment(spec: RerankServiceSpec) -> list[dict[str, Any]]:
    """Proxy and certificates, as the `env` list of a Pod, for every container that reaches out of the cluster."""
    found: dict[str, str] = {}
    if proxy := spec.engine.proxy:
        given = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https}
        direct = ",".join(filter(None, (*_LOOPBACK, proxy.no_proxy)))
        for name, value in {**given, "NO_PROXY": direct}.items():
            if value:
                found |= {name: value, name.lower(): value}
    if spec.engine.ca_bundle:
        found |= dict.fromkeys(_CA_VARIABLES, f"{CA_MOUNT}/{CA_FILE}")
    return [{"name": name, "value": value} for name, value in found.items()]


def hub_environment(spec: RerankServiceSpec) -> list[dict[str, Any]]:
    """Where the hub is, and the token for it, as the `env` list of a Pod."""
    source = spec.model.source
    env: list[dict[str, Any]] = []
    if source and source.hugging_face:
        if source.hugging_face.endpoint:
            env.append({"name": "HF_ENDPOINT", "value": source.hugging_face.endpoint})
        if ref := source.hugging_face.token_secret_ref:
            env.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": ref.model_dump()}})
    return env
