"""What lets the number of model pods follow the load: a HorizontalPodAutoscaler, or a ScaledObject of KEDA."""

from typing import Any

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.resources.render import owner_reference, render


def build_autoscaler(reranker: RerankService, owner: dict[str, Any]) -> dict[str, Any]:
    """The autoscaler that `spec.autoscaling` asks for; raises ValueError when it asks for none.

    Its target is the reranker and not a Deployment, so that it stays the same from revision to revision.
    """
    scaling = reranker.spec.autoscaling
    if scaling is None:
        raise ValueError("spec.autoscaling is not set: build no autoscaler for this reranker")
    name, namespace = reranker.metadata.name, reranker.metadata.namespace
    values: dict[str, Any] = {
        "name": names.autoscaler_name(name),
        "namespace": namespace,
        "labels": names.child_labels(name),
        "owner": owner_reference(owner),
        "target": {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": name},
        "fewest": scaling.min_replicas,
        "most": scaling.max_replicas,
    }
    waiting = scaling.waiting_requests
    if waiting is None:
        return render("horizontal-pod-autoscaler.yaml.j2", **values, metrics=scaling.metrics)
    return render(
        "scaled-object.yaml.j2",
        **values,
        prometheus=waiting.prometheus_address,
        query=waiting_requests_query(name, namespace),
        threshold=str(waiting.per_pod),
    )


def waiting_requests_query(reranker: str, namespace: str) -> str:
    """PromQL for the requests that wait in all model pods of a reranker.

    What other labels there are depends on how Prometheus scrapes; `namespace` and `pod` are there with the
    Prometheus Operator. The pod name begins with that of its revision, of which Kubernetes cuts off the last digit
    where the reranker has the longest name that is allowed.
    """
    pods = f"{names.revision_name(reranker, '[0-9a-f]{7}')}.+"
    return f'sum(vllm:num_requests_waiting{{namespace="{namespace}",pod=~"{pods}"}})'
