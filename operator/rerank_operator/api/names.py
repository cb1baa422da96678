"""Group, labels and child names: the only place where a name is born.

Children that belong to one revision are called `<reranker>-<hash>`; the Service carries the reranker's own
name, because that name is the address which applications keep.
"""

from typing import Final

GROUP: Final = "rerank-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "RerankService"
PLURAL: Final = "rerankservices"

FIELD_MANAGER: Final = "rerank-operator"

LABEL_RERANKER: Final = f"{GROUP}/reranker"
LABEL_REVISION: Final = f"{GROUP}/revision"
LABEL_ROLE: Final = f"{GROUP}/role"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "rerank-operator"

ANNOTATION_CONFIG_HASH: Final = f"{GROUP}/config-hash"
# On the publication: how many documents in one request the model was measured with.
ANNOTATION_BATCH: Final = f"{GROUP}/measured-batch-size"
# On a candidate's Deployment: the active revision that makes room for it, since when there is room, and why it was
# given up.
ANNOTATION_TAKES_OVER: Final = f"{GROUP}/takes-over"
ANNOTATION_ROOM_SINCE: Final = f"{GROUP}/room-since"
ANNOTATION_FAILED: Final = f"{GROUP}/failed"
# On a Deployment: how many pods that went wrong were restarted one after another, and when the last one was.
ANNOTATION_RESTARTS: Final = f"{GROUP}/restarts"

# On a Service and an Ingress: which of its annotations came from the spec, with commas. One that leaves the spec goes,
# and those of others stay.
ANNOTATION_FROM_SPEC: Final = f"{GROUP}/annotations"

# On a copy: the namespace of its reranker. On a Namespace: from where it takes copies, with commas, or `*`.
LABEL_SOURCE_NAMESPACE: Final = f"{GROUP}/source-namespace"
ANNOTATION_ACCEPTS: Final = f"{GROUP}/accept-publications-from"
# Stakater Reloader restarts workloads with `reloader.stakater.com/search: "true"` that use what carries this.
ANNOTATION_RELOADER: Final = "reloader.stakater.com/match"

ROLE_FILES: Final = "engine-files"
ROLE_PUBLICATION: Final = "publication"
ROLE_COPY: Final = "publication-copy"
ROLE_BINDING: Final = "service-binding"

ENGINE_PORT: Final = 8000
ENGINE_CONTAINER: Final = "vllm"
# Init containers: one fetches the model, the other reads what its files say.
FETCH_CONTAINER: Final = "fetch-model"
CHECK_CONTAINER: Final = "check-model"
STEPS: Final = (FETCH_CONTAINER, CHECK_CONTAINER)
# The longest reranker name for which every child name and label value stays within 63 characters.
MAX_NAME_LENGTH: Final = 50


def child_labels(reranker: str) -> dict[str, str]:
    """Labels of every child. Never Milvus's own triple: the Milvus operator would adopt our ConfigMap."""
    return {
        "app.kubernetes.io/name": "reranker",
        "app.kubernetes.io/instance": reranker,
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_RERANKER: reranker,
    }


def revision_labels(reranker: str, revision: str) -> dict[str, str]:
    """Labels of everything that belongs to one revision."""
    return {**child_labels(reranker), LABEL_REVISION: revision}


def revision_selector(reranker: str, revision: str) -> dict[str, str]:
    """Select the pods of one revision: the smallest set of labels that does, since selectors cannot change."""
    return {LABEL_RERANKER: reranker, LABEL_REVISION: revision}


def revision_name(reranker: str, revision: str) -> str:
    """Name of the ControllerRevision, the Deployment and the engine files of one revision."""
    return f"{reranker}-{revision}"


def service_name(reranker: str) -> str:
    """Name of the Service, and so the host name that Milvus calls."""
    return reranker


def disruption_budget_name(reranker: str) -> str:
    """Name of the PodDisruptionBudget."""
    return reranker


def autoscaler_name(reranker: str) -> str:
    """Name of the HorizontalPodAutoscaler or of KEDA's ScaledObject."""
    return reranker


def publication_name(reranker: str) -> str:
    """Name of the published ConfigMap where the spec names none."""
    return f"{reranker}-milvus"


def route_name(reranker: str) -> str:
    """Name of the HTTPRoute or of the Ingress."""
    return reranker


def binding_name(reranker: str) -> str:
    """Name of the Secret in the form of Service Binding."""
    return f"{reranker}-binding"


def cache_name(reranker: str) -> str:
    """Name of the volume claim that keeps a downloaded model."""
    return f"{reranker}-models"


def endpoint(reranker: str, namespace: str, port: int) -> str:
    """Address without a path: Milvus replaces the path of an endpoint with `/rerank`.

    The short `.svc` form resolves in every cluster, whatever its DNS domain is.
    """
    return f"http://{service_name(reranker)}.{namespace}.svc:{port}"
