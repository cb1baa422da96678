"""The Service in front of the active revision."""

from typing import Any

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.resources.render import owner_reference, render


def build_service(reranker: RerankService, owner: dict[str, Any], active: str) -> dict[str, Any]:
    """A Service that routes to the pods of revision `active` and to no others."""
    name = reranker.metadata.name
    return render(
        "service.yaml.j2",
        name=names.service_name(name),
        namespace=reranker.metadata.namespace,
        labels=names.child_labels(name),
        owner=owner_reference(owner),
        selector=names.revision_selector(name, active),
        port=reranker.spec.service.port,
    )
