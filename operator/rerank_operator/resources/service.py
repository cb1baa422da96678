"""The Service in front of the active revision."""

from typing import Any

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.resources.drift import from_spec
from rerank_operator.resources.render import owner_reference, render


def build_service(reranker: RerankService, owner: dict[str, Any], active: str) -> dict[str, Any]:
    """A Service that routes to the pods of revision `active` and to no others."""
    name, spec = reranker.metadata.name, reranker.spec.service
    return render(
        "service.yaml.j2",
        name=names.service_name(name),
        namespace=reranker.metadata.namespace,
        labels=names.child_labels(name),
        annotations=from_spec(spec.annotations),
        owner=owner_reference(owner),
        type=spec.type.value,
        balancer_class=spec.load_balancer_class,
        balancer_sources=spec.load_balancer_source_ranges,
        selector=names.revision_selector(name, active),
        port=spec.port,
        node_port=spec.node_port,
    )
