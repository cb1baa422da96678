"""The Secret in the form of Service Binding."""

import base64
from typing import Any

from rerank_operator.api import names
from rerank_operator.milvus.binding import build_binding
from rerank_operator.milvus.publication import Publication
from rerank_operator.resources.render import owner_reference, render


def build_binding_secret(
    reranker: str, owner: dict[str, Any], publication: Publication, revision: str
) -> dict[str, Any]:
    """What is published of `revision`, as `status.binding` names it."""
    secret = render(
        "binding.yaml.j2",
        name=names.binding_name(reranker),
        namespace=publication.namespace,
        labels={**names.revision_labels(reranker, revision), names.LABEL_ROLE: names.ROLE_BINDING},
        annotations={names.ANNOTATION_RELOADER: "true"},
        owner=owner_reference(owner),
    )
    entries = build_binding(publication)
    secret["data"] = {name: base64.b64encode(value.encode()).decode() for name, value in entries.items()}
    return secret
