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

from rerank_operator.milvus.params import PROVIDER, build_function, build_lite_params, build_params
from rerank_operator.milvus.publication import Publication

CONFIG_HASH_KEY: Final = "RERANK_CONFIG_HASH"

# For milvus.yaml, `spec.config` of a Milvus resource, or user.yaml in `extraConfigFiles` of Milvus's chart.
SERVER_CONFIG: Final = """\
function:
  rerank:
    model:
      providers:
        vllm:
          enable: true
"""
NO_KEY: Final = (
    "# The part of milvus.yaml that this reranker needs. It is on by default, and no credential is needed.\n"
)
KEY: Final = """\
# The part of milvus.yaml that this reranker needs, from Milvus 2.6.1 on. In the place of KEY write a key of the
# Secret {namespace}/{secret}.
credential:
  {credential}:
    apikey: KEY
"""


def build_data(publication: Publication) -> dict[str, str]:
    """Build the `data` of the ConfigMap: files to mount, and flat `RERANK_*` keys for `envFrom`."""
    data = {
        "params.json": _as_json(build_params(publication)),
        "function.json": _as_json(build_function(publication)),
        "milvus-lite.json": _as_json(build_lite_params(publication)),
        "milvus.yaml": _server_config(publication),
        "example.py": _example(publication),
        **_environment(publication),
    }
    return {**data, CONFIG_HASH_KEY: config_hash(data)}


def _server_config(publication: Publication) -> str:
    if publication.credential is None:
        return NO_KEY + SERVER_CONFIG
    name = json.dumps(publication.credential)
    return KEY.format(namespace=publication.namespace, secret=publication.secret, credential=name) + SERVER_CONFIG


def config_hash(data: dict[str, str]) -> str:
    """Hash the data without the hash itself, so that one value tells whether anything changed."""
    hashed = {key: value for key, value in data.items() if key != CONFIG_HASH_KEY}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:12]


def _environment(publication: Publication) -> dict[str, str]:
    """Flat keys for applications that talk to the engine themselves (frameworks without Milvus functions)."""
    values = {
        "RERANK_ENDPOINT": publication.endpoint,
        "RERANK_URL": f"{publication.endpoint}/v1/rerank",
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
