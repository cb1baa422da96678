"""What leads a host name to the Service: an HTTPRoute of the Gateway API, or an Ingress.

Always the whole host and never a path: Milvus throws the path of an endpoint away.
"""

import math
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.resources.drift import from_spec
from rerank_operator.resources.render import owner_reference, render

# Many gateways end a request after 15 seconds. Milvus waits 30, or as long as spec.milvus.timeoutMilliseconds says,
# and has to be the first to give up.
MILVUS_WAITS_SECONDS: Final = 30
MARGIN_SECONDS: Final = 5


def build_route(reranker: RerankService, owner: dict[str, Any]) -> dict[str, Any] | None:
    """The HTTPRoute or the Ingress that `spec.route` asks for; None when it asks for none."""
    spec, name = reranker.spec, reranker.metadata.name
    route = spec.route
    if route is None:
        return None
    values: dict[str, Any] = {
        "name": names.route_name(name),
        "namespace": reranker.metadata.namespace,
        "labels": names.child_labels(name),
        "owner": owner_reference(owner),
        "hostname": route.hostname,
        "service": names.service_name(name),
        "port": spec.service.port,
    }
    if route.gateway is not None:
        gateway = route.gateway.model_dump(by_alias=True, exclude_none=True)
        return render("http-route.yaml.j2", **values, gateway=gateway, timeout=_request_timeout(reranker))
    ingress = route.ingress
    secret = {"secretName": ingress.tls_secret_name} if ingress.tls_secret_name else {}
    return render(
        "ingress.yaml.j2",
        **values,
        annotations=from_spec(ingress.annotations),
        class_name=ingress.class_name,
        tls=[{"hosts": [route.hostname], **secret}] if route.tls else [],
    )


def _request_timeout(reranker: RerankService) -> str:
    """How long a request may take, in the form of the Gateway API."""
    milliseconds = reranker.spec.milvus.timeout_milliseconds or 0
    seconds = max(MILVUS_WAITS_SECONDS, math.ceil(milliseconds / 1000))
    return f"{seconds + MARGIN_SECONDS}s"
