"""Under which address a reranker is published. Pure."""

from typing import Any

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService, Route, ServiceType


def published_endpoint(reranker: RerankService, service: dict[str, Any] | None) -> str | None:
    """The address, without a path; None while the load balancer has none. `service` is the live Service.

    What the user says comes first, since only the user knows the network of a Milvus elsewhere.
    """
    spec = reranker.spec
    if spec.external is not None:
        return str(spec.external.endpoint)
    if spec.publish.endpoint is not None:
        return str(spec.publish.endpoint)
    if spec.route is not None:
        return _route_address(spec.route)
    if spec.service.type is ServiceType.LOAD_BALANCER:
        return _balancer_address(service or {}, spec.service.port)
    return _service_address(reranker)


def is_own_service(endpoint: str, reranker: RerankService) -> bool:
    """Whether an address is that of the reranker's own Service inside the cluster."""
    return endpoint == _service_address(reranker)


def _service_address(reranker: RerankService) -> str:
    metadata = reranker.metadata
    return names.endpoint(metadata.name, metadata.namespace, reranker.spec.service.port)


def _route_address(route: Route) -> str:
    scheme = "https" if route.tls else "http"
    port = f":{route.port}" if route.port else ""
    return f"{scheme}://{route.hostname}{port}"


def _balancer_address(service: dict[str, Any], port: int) -> str | None:
    """The first address of the load balancer that has one: some clouds give names, others numbers."""
    status = service.get("status") or {}
    for entry in (status.get("loadBalancer") or {}).get("ingress") or []:
        host = entry.get("ip") or entry.get("hostname")
        if host:
            return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return None
