"""What a Milvus rerank function is given: for Milvus (provider vllm), and for Milvus Lite (provider cohere).

pymilvus turns every param of a `Function` into a string and Milvus reads numbers back with Go's `Atoi`, so a number is
an integer here: `32.0` and `None` would be refused at search time. `queries` is never part of the params: it belongs to
one search.
"""

from typing import Final

from rerank_operator.milvus.forms import ChainParams, FunctionParams, LiteParams, RerankChain, RerankFunction
from rerank_operator.milvus.publication import Publication
from rerank_operator.milvus.versions import has_function_chains, knows

Params = dict[str, str | int]

PROVIDER: Final = "vllm"
# Milvus Lite refuses to start a search without a key. The engine does not look at it.
LITE_API_KEY: Final = "not-needed"


def build_params(publication: Publication) -> Params:
    """Build the set of params that every Milvus since 2.6.0 takes, or the one version where it is known.

    * 2.6.0 reads the batch size from `max_batch`, later versions from `max_client_batch_size`; each ignores
      the other key. Without its key a version sends 32 documents per request: one search becomes several.
    * The endpoint has no path: 2.6.0 always calls `/v2/rerank` on that host, later versions `/rerank`.
    * No model name: no version sends one with the provider vllm.
    * `credential` is the name of a key in milvus.yaml, never the key. 2.6.0 does not know it, and sends no key.
    * `truncate_prompt_tokens` goes to the engine as it is. Without it one document that is too long fails its
      whole search.
    * `timeout_ms` is ignored before 3.0.
    """
    return _function_params(publication).as_data()


def build_function(publication: Publication) -> dict[str, object]:
    """Build the arguments of a pymilvus `Function`; `function_type` is the name of a `FunctionType`.

    Every Milvus version takes exactly one input field, and it has to be a VARCHAR field.
    """
    return RerankFunction(
        name=publication.function_name,
        function_type="RERANK",
        input_field_names=[publication.input_field],
        params=_function_params(publication),
    ).as_data()


def build_chain(publication: Publication) -> dict[str, object] | None:
    """Build what a FunctionChain of pymilvus 3.0 needs; None for a Milvus that is known to be older.

    Its params keep their types, and there is no `reranker` among them. A program makes it with
    `FunctionChain(FunctionChainStage[stage], name).map(output, fn.rerank_model(col(input_field_name), queries=[...],
    **params))`. The batch key of 2.6.0 is left out: no server that takes a chain reads it.
    """
    version = publication.milvus_version
    if not has_function_chains(version):
        return None
    return RerankChain(
        name=publication.function_name,
        stage="L2_RERANK",
        output="$score",
        input_field_name=publication.input_field,
        params=ChainParams(
            provider=PROVIDER,
            endpoint=publication.endpoint,
            max_client_batch_size=publication.max_client_batch_size,
            truncate_prompt_tokens=publication.truncate_prompt_tokens,
            credential=publication.credential,
            timeout_ms=publication.timeout_ms,
        ),
    ).as_data()


def build_lite_params(publication: Publication) -> Params:
    """Build the params for Milvus Lite 3.2: its only provider is cohere, and `base_url` replaces its address.

    Lite appends `/rerank` to `base_url`, sends the model name, and takes neither a batch size nor a
    truncation: all candidates go in one request, and the engine alone decides what a long document means.
    Where the engine wants a key, whoever searches adds it as `api_key`: a ConfigMap is no place for it.
    """
    return LiteParams(
        reranker="model",
        provider="cohere",
        base_url=f"{publication.endpoint}/v1",
        model_name=publication.model,
        api_key=LITE_API_KEY if publication.credential is None else None,
    ).as_data()


def _function_params(publication: Publication) -> FunctionParams:
    version = publication.milvus_version
    return FunctionParams(
        reranker="model",
        provider=PROVIDER,
        endpoint=publication.endpoint,
        max_client_batch_size=publication.max_client_batch_size,
        max_batch=publication.max_client_batch_size,
        truncate_prompt_tokens=publication.truncate_prompt_tokens,
        credential=publication.credential if knows(version, "credential") else None,
        timeout_ms=publication.timeout_ms if knows(version, "timeout_ms") else None,
    )
