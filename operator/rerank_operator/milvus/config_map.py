"""The ConfigMap that applications read: what it says about one verified reranker, key by key.

The set of keys never changes: where there is no value the key holds an empty string. The values change only
when the model, what runs it, its limits or its address change.
"""

import functools
import hashlib
import importlib.resources
import json
import string
from typing import Final

from rerank_operator.milvus.forms import CONTRACT_VERSION
from rerank_operator.milvus.fragments import build_chart_values, build_milvus_yaml, build_resource_patch
from rerank_operator.milvus.params import PROVIDER, build_chain, build_function, build_lite_params, build_params
from rerank_operator.milvus.publication import Publication

CONFIG_HASH_KEY: Final = "RERANK_CONFIG_HASH"


def build_data(publication: Publication) -> dict[str, str]:
    """Build the `data` of the ConfigMap: files to mount, and flat `RERANK_*` keys for `envFrom`."""
    chain = build_chain(publication)
    data = {
        "params.json": _as_json(build_params(publication)),
        "function.json": _as_json(build_function(publication)),
        "milvus-lite.json": _as_json(build_lite_params(publication)),
        "function-chain.json": "" if chain is None else _as_json(chain),
        "milvus.yaml": build_milvus_yaml(publication),
        "milvus-values.yaml": build_chart_values(publication),
        "milvus-resource.yaml": build_resource_patch(publication),
        "example.py": _example(publication),
        **_environment(publication),
    }
    return {**data, CONFIG_HASH_KEY: config_hash(data)}


def config_hash(data: dict[str, str]) -> str:
    """Hash the data without the hash itself, so that one value tells whether anything changed."""
    hashed = {key: value for key, value in data.items() if key != CONFIG_HASH_KEY}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:12]


def _environment(publication: Publication) -> dict[str, str]:
    """Flat keys for applications that talk to the engine themselves (frameworks without Milvus functions)."""
    values = {
        "RERANK_CONTRACT_VERSION": CONTRACT_VERSION,
        "RERANK_ENDPOINT": publication.endpoint,
        "RERANK_URL": publication.url,
        "RERANK_PROVIDER": PROVIDER,
        "RERANK_MODEL": publication.model,
        "RERANK_MODEL_REVISION": publication.model_revision,
        "RERANK_REVISION": publication.revision,
        "RERANK_MAX_LENGTH": publication.max_length,
        "RERANK_MAX_CLIENT_BATCH_SIZE": publication.max_client_batch_size,
        "RERANK_TRUNCATE_PROMPT_TOKENS": publication.truncate_prompt_tokens,
        "RERANK_CREDENTIAL": publication.credential,
    }
    return {key: "" if value is None else str(value) for key, value in values.items()}


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _example(publication: Publication) -> str:
    """Put only DNS names into the program; what a user may spell freely it reads from JSON."""
    return _example_template().substitute(config_map_name=publication.config_map_name, namespace=publication.namespace)


@functools.cache
def _example_template() -> string.Template:
    template = importlib.resources.files("rerank_operator.milvus") / "example.py.template"
    return string.Template(template.read_text("utf-8"))
