"""What is published about one verified reranker, before it is put into words for Milvus."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    """Everything that the published ConfigMap says about one reranker.

    `endpoint` is `http(s)://HOST[:PORT]` without a path. `model` is the name under which the
    engine serves the model. `max_length` and `truncate_prompt_tokens` count the tokens of a query and
    document pair; None means that there is no such limit to publish. `revision` is the hash of everything
    that shapes a model pod: scores of two revisions cannot be compared, so thresholds belong to one of them.
    `milvus_version` is the version of Milvus, None where nobody knows it; `timeout_ms` is how long Milvus waits for an
    answer, which 3.0 is the first to take.
    `credential` is the name of the entry in milvus.yaml that holds the key, and `secret` the name of the Secret it
    is taken from; both are None where the engine asks for no key.
    """

    config_map_name: str
    namespace: str
    function_name: str
    input_field: str
    endpoint: str
    model: str
    model_revision: str | None
    max_length: int | None
    max_client_batch_size: int
    truncate_prompt_tokens: int | None
    revision: str
    credential: str | None = None
    secret: str | None = None
    milvus_version: str | None = None
    timeout_ms: int | None = None

    @property
    def url(self) -> str:
        """Address for callers that are not Milvus; it wants `model`, `query` and `documents`."""
        return f"{self.endpoint}/v1/rerank"
