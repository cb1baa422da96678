"""The published ConfigMap."""

from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.milvus.config_map import build_data, config_hash
from rerank_operator.milvus.publication import Publication
from rerank_operator.rerank.batch import Batch
from rerank_operator.resources.addresses import published_endpoint
from rerank_operator.resources.render import owner_reference, render
from rerank_operator.resources.revision import Facts

TRUNCATE_TO_MODEL_LIMIT: Final = -1


def describe(
    reranker: RerankService,
    facts: Facts,
    revision: str,
    measured_batch: int | None = None,
    *,
    endpoint: str | None = None,
    milvus_version: str | None = None,
) -> Publication:
    """What is published for a model with these facts.

    `endpoint` is the address that Milvus calls; without one it is what the spec alone tells, else the Service's own.
    A batch is never larger than what the model answered in time, nor than what the guard lets through.
    Truncation is -1 (the model's own limit) unless the model uses a prompt template, and never above the model's
    limit: one over-long document would otherwise fail a whole search.
    """
    name, namespace, spec = reranker.metadata.name, reranker.metadata.namespace or "default", reranker.spec
    truncate = spec.milvus.truncate_prompt_tokens
    if truncate is None and facts.truncation_safe:
        truncate = TRUNCATE_TO_MODEL_LIMIT
    if truncate is not None and facts.max_length is not None:
        truncate = min(truncate, facts.max_length)
    batches = (spec.milvus.max_client_batch_size, measured_batch, facts.max_documents)
    return Publication(
        config_map_name=spec.publish.config_map_name or names.publication_name(name),
        namespace=namespace,
        function_name=spec.milvus.function_name or name,
        input_field=spec.milvus.input_field,
        endpoint=endpoint or published_endpoint(reranker, None) or names.endpoint(name, namespace, spec.service.port),
        model=facts.model,
        model_revision=facts.model_revision,
        max_length=facts.max_length,
        max_client_batch_size=min(batch for batch in batches if batch is not None),
        truncate_prompt_tokens=truncate,
        revision=revision,
        credential=(spec.milvus.credential_name or name) if facts.bearer_secret else None,
        secret=facts.bearer_secret,
        milvus_version=milvus_version or spec.milvus.version,
        timeout_ms=spec.milvus.timeout_milliseconds,
    )


def build_publication(
    reranker: RerankService,
    owner: dict[str, Any],
    facts: Facts,
    revision: str,
    batch: Batch | None = None,
    *,
    endpoint: str | None = None,
    milvus_version: str | None = None,
) -> dict[str, Any]:
    """The ConfigMap that describes `revision`; `batch` is what one request was measured with."""
    measured = batch.answered if batch else None
    publication = describe(reranker, facts, revision, measured, endpoint=endpoint, milvus_version=milvus_version)
    annotations = {names.ANNOTATION_BATCH: str(batch)} if batch else {}
    data = build_data(publication)
    name = reranker.metadata.name
    config_map = render(
        "publication.yaml.j2",
        name=publication.config_map_name,
        namespace=publication.namespace,
        labels={**names.revision_labels(name, revision), names.LABEL_ROLE: names.ROLE_PUBLICATION},
        annotations={names.ANNOTATION_CONFIG_HASH: config_hash(data), names.ANNOTATION_RELOADER: "true", **annotations},
        owner=owner_reference(owner),
    )
    config_map["data"] = data
    return config_map
