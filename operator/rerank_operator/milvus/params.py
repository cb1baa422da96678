"""Params of a Milvus rerank function, for Milvus (provider vllm) and for Milvus Lite (provider cohere).

pymilvus turns every param into a string and Milvus reads numbers back with Go's `Atoi`, so a number is an
integer here: `32.0` and `None` would be refused at search time. `queries` is never part of the params: it
belongs to one search.
"""

from typing import Final

from rerank_operator.milvus.publication import Publication

Params = dict[str, str | int]

PROVIDER: Final = "vllm"
LITE_PROVIDER: Final = "cohere"
FUNCTION_TYPE: Final = "RERANK"
# Milvus Lite refuses to start a search without a key. The engine does not look at it.
LITE_API_KEY: Final = "not-needed"


def build_params(publication: Publication) -> Params:
    """Build the one set of params that every Milvus since 2.6.0 takes.

    * 2.6.0 reads the batch size from `max_batch`, later versions from `max_client_batch_size`; each ignores
      the other key. Without its key a version sends 32 documents per request: one search becomes several.
    * The endpoint has no path: 2.6.0 always calls `/v2/rerank` on that host, later versions `/rerank`.
    * No model name: no version sends one with the provider vllm.
    * `credential` is the name of a key in milvus.yaml, never the key. 2.6.0 does not know it, and sends no key.
    * `truncate_prompt_tokens` goes to the engine as it is. Without it one document that is too long fails its
      whole search.
    """
    params: Params = {
        "reranker": "model",
        "provider": PROVIDER,
        "endpoint": publication.endpoint,
        "max_client_batch_size": publication.max_client_batch_size,
        "max_batch": publication.max_client_batch_size,
    }
    if publication.truncate_prompt_tokens is not None:
        params["truncate_prompt_tokens"] = publication.truncate_prompt_tokens
    if publication.credential is not None:
        params["credential"] = publication.credential
    return params


def build_function(publication: Publication) -> dict[str, object]:
    """Build the arguments of a pymilvus `Function`; `function_type` is the name of a `FunctionType`.

    Every Milvus version takes exactly one input field, and it has to be a VARCHAR field.
    """
    return {
        "name": publication.function_name,
        "function_type": FUNCTION_TYPE,
        "input_field_names": [publication.input_field],
        "params": build_params(publication),
    }


def build_lite_params(publication: Publication) -> Params:
    """Build the params for Milvus Lite 3.2: its only provider is cohere, and `base_url` replaces its address.

    Lite appends `/rerank` to `base_url`, sends the model name, and takes neither a batch size nor a
    truncation: all candidates go in one request, and the engine alone decides what a long document means.
    Where the engine wants a key, whoever searches adds it as `api_key`: a ConfigMap is no place for it.
    """
    params: Params = {
        "reranker": "model",
        "provider": LITE_PROVIDER,
        "base_url": f"{publication.endpoint}/v1",
        "model_name": publication.model,
    }
    if publication.credential is None:
        params["api_key"] = LITE_API_KEY
    return params
