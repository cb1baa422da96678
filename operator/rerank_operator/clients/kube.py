"""The API server, as far as the operator needs it: list, get, create, update, delete, and the status.

Objects are plain dicts. The typed models of the kubernetes package would refuse answers with fields that they
do not know, and cost 60 MiB of memory.
"""

import dataclasses
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio import client

from rerank_operator.api import names
from rerank_operator.clients.connection import DEFAULT_NAMESPACE, configure, unavailable
from rerank_operator.clients.errors import AlreadyExists, NameConflict, NotFound, ObjectInvalid, error_of
from rerank_operator.clients.watching import WATCH_LIMITS, follow, read_events
from rerank_operator.resources.drift import overlay

REQUEST_TIMEOUT_SECONDS: Final = 30
# Objects are large once they are parsed: a page is what is in memory at a time.
PAGE_SIZE: Final = 100
# vLLM's root cause is within its last 300 lines; one line can hold the names of all its architectures.
LOG_LINES: Final = 300
LOG_BYTES: Final = 256 << 10
# The kubelet of a lost node does not answer, and a worker must not wait for it.
LOG_SECONDS: Final = 5.0
# Each TLS connection keeps a quarter of a megabyte.
CONNECTIONS: Final = 8

Query = dict[str, str] | None


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """Where objects of a kind live in the API."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of a collection, an object, or a subresource."""
        prefix = "/apis/" if "/" in self.api_version else "/api/"
        parts = [prefix + self.api_version]
        if namespace:
            parts += ["namespaces", quote(namespace)]
        parts += [self.plural, *(quote(part) for part in (name, subresource) if part)]
        return "/".join(parts)


RERANKERS: Final = Kind(names.API_VERSION, names.KIND, names.PLURAL)
DEPLOYMENTS: Final = Kind("apps/v1", "Deployment", "deployments")
REVISIONS: Final = Kind("apps/v1", "ControllerRevision", "controllerrevisions")
SERVICES: Final = Kind("v1", "Service", "services")
CONFIG_MAPS: Final = Kind("v1", "ConfigMap", "configmaps")
PODS: Final = Kind("v1", "Pod", "pods")
SECRETS: Final = Kind("v1", "Secret", "secrets")
CLAIMS: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DISRUPTION_BUDGETS: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALERS: Final = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
SCALED_OBJECTS: Final = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
INGRESSES: Final = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
HTTP_ROUTES: Final = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
EVENTS: Final = Kind("v1", "Event", "events")
# These have no namespace.
NODES: Final = Kind("v1", "Node", "nodes")
NAMESPACES: Final = Kind("v1", "Namespace", "namespaces")

KINDS: Final = {
    kind.kind: kind
    for kind in (
        RERANKERS,
        DEPLOYMENTS,
        REVISIONS,
        SERVICES,
        CONFIG_MAPS,
        PODS,
        SECRETS,
        CLAIMS,
        EVENTS,
        DISRUPTION_BUDGETS,
        AUTOSCALERS,
        SCALED_OBJECTS,
        INGRESSES,
        HTTP_ROUTES,
    )
}


class KubeClient:
    """Requests to one API server. Raises the errors of `clients.errors`."""

    def __init__(self, api: client.ApiClient, namespace: str = DEFAULT_NAMESPACE) -> None:
        self._api = api
        self.namespace = namespace

    @classmethod
    async def connect(cls, kubeconfig: str | None = None, context: str | None = None) -> Self:
        """Use the service account of the pod, else the kubeconfig; `namespace` is then the one that goes with it.

        Raises ApiUnavailable when neither leads to an API server.
        """
        configuration = client.Configuration()
        namespace = await configure(configuration, kubeconfig, context)
        configuration.connection_pool_maxsize = CONNECTIONS
        # aiohttp would look for proxies in another thread, for each request; a kubeconfig can name one.
        configuration.client_session_kwargs = {"trust_env": False}
        with unavailable("no cluster: a certificate of the kubeconfig cannot be used"):
            return cls(client.ApiClient(configuration), namespace)

    async def close(self) -> None:
        """Close all connections."""
        await self._api.close()

    async def pages(
        self, kind: Kind, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
        """All objects of a kind page by page, each with the version of the list; `namespace` None is the cluster."""
        query = {"limit": str(PAGE_SIZE), "labelSelector": selector}
        while True:
            page = await self._request("GET", kind.path(namespace), query)
            # Items of a list carry neither apiVersion nor kind.
            items = [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page["items"]]
            yield items, int(page["metadata"]["resourceVersion"])
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
        """One object, or None when there is none; `namespace` None is for kinds that have none."""
        try:
            return await self._request("GET", kind.path(namespace, name))
        except NotFound:
            return None

    def watch(self, kind: Kind, namespace: str, name: str) -> AsyncGenerator[dict[str, Any], None]:
        """One object as it is now, and again after each change; ends when it is deleted, or was not there.

        Needs the rights to get and to watch. Raises ApiUnavailable only when the first request is not answered.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "fieldSelector": f"metadata.name={name}"}
        return follow(
            lambda: self.get(kind, namespace, name),
            lambda version: self._changes(kind.path(namespace), {**query, "resourceVersion": version}),
        )

    async def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Create an owned object or a copy, or return it when its owner already has it.

        Raises NameConflict rather than touch somebody else's object, and AlreadyExists when the name is still taken
        by a child of a deleted reranker of the same name, which the garbage collector is about to remove.
        """
        kind, metadata = KINDS[obj["kind"]], obj["metadata"]
        query = {"fieldManager": names.FIELD_MANAGER}
        try:
            return await self._request("POST", kind.path(metadata["namespace"]), query, obj)
        except AlreadyExists as error:
            existing = await self.get(kind, metadata["namespace"], metadata["name"])
            if existing is None:
                raise
            if _is_ours(existing, metadata):
                return existing
            if _is_left_over(existing, metadata):
                raise
            raise NameConflict(f"{kind.kind} {metadata['name']!r}") from error

    async def events_of(self, namespace: str, uid: str) -> list[dict[str, Any]]:
        """Events about one object."""
        query = {"fieldSelector": f"involvedObject.uid={uid}", "limit": str(PAGE_SIZE)}
        listed = await self._request("GET", EVENTS.path(namespace), query)
        events: list[dict[str, Any]] = listed["items"]
        return events

    async def log(
        self, namespace: str, pod: str, container: str, *, previous: bool = False, lines: int = LOG_LINES
    ) -> str:
        """The last lines of a container's log, of its previous run with `previous`; empty when there is none.

        Raises ApiRejected without the right to get pods/log, ApiUnavailable when nothing answers.
        """
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(LOG_BYTES)}
        if previous:
            query["previous"] = "true"
        try:
            payload = await self._send("GET", PODS.path(namespace, pod, "log"), query, seconds=LOG_SECONDS)
        except (NotFound, ObjectInvalid):  # the container has not begun, or its former run is no longer known
            return ""
        return payload.decode(errors="replace")

    async def has_keda(self) -> bool:
        """Whether this API server knows ScaledObjects."""
        return await self._serves(SCALED_OBJECTS)

    async def has_gateway_api(self) -> bool:
        """Whether this API server knows HTTPRoutes."""
        return await self._serves(HTTP_ROUTES)

    async def post_event(self, event: dict[str, Any]) -> None:
        """Post a core/v1 Event."""
        await self._request("POST", EVENTS.path(event["metadata"]["namespace"]), None, event)

    async def update(self, obj: dict[str, Any], whole: Collection[str] = ()) -> dict[str, Any]:
        """Put our fields into an object that is there, and leave those of others alone, except in the fields `whole`.

        Not server-side apply: an object that was created with POST (which alone never overwrites) has an owner of
        its fields that apply cannot take list entries from, so that a changed port of a Service would be added.
        Raises NotFound when the object is gone, AlreadyExists when somebody changed it meanwhile: look again.
        """
        kind, metadata = KINDS[obj["kind"]], obj["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        live = await self._request("GET", path)
        ours = {**overlay(live, obj), **{field: obj[field] for field in whole}}
        return await self._request("PUT", path, {"fieldManager": names.FIELD_MANAGER}, ours)

    async def dry_run(self, method: str, obj: dict[str, Any], **query: str) -> dict[str, Any]:
        """What a POST, a PUT or a PATCH (server-side apply) of an object would store; nothing is written."""
        kind, metadata = KINDS[obj["kind"]], obj["metadata"]
        path = kind.path(metadata["namespace"], None if method == "POST" else metadata["name"])
        return await self._request(method, path, {**query, "dryRun": "All"}, obj)

    async def apply_status(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Server-side apply of the status: conditions of others stay, ours that we no longer name go."""
        kind, metadata = KINDS[obj["kind"]], obj["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"], "status")
        return await self._request("PATCH", path, {"fieldManager": names.FIELD_MANAGER, "force": "true"}, obj)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> bool:
        """Delete exactly the object with this uid; False when another one has its name, which stays."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", kind.path(namespace, name), {}, options)
        except NotFound:
            return True
        except AlreadyExists:
            return False
        return True

    async def _serves(self, kind: Kind) -> bool:
        """Whether a kind that clusters need not have is there; whoever is logged in may ask that."""
        try:
            group = await self._request("GET", f"/apis/{kind.api_version}")
        except NotFound:
            return False
        return any(resource["name"] == kind.plural for resource in group["resources"])

    async def _request(self, method: str, path: str, query: Query = None, body: Any = None) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(await self._send(method, path, query, body))
        return parsed

    async def _changes(self, path: str, query: Query) -> AsyncGenerator[dict[str, Any], None]:
        with unavailable(f"failed to watch {path}"):
            response = await self._open("GET", path, query, None, WATCH_LIMITS)
            async with response:
                async for event in read_events(response.content.iter_any()):
                    yield event

    async def _send(
        self, method: str, path: str, query: Query = None, body: Any = None, *, seconds: float = REQUEST_TIMEOUT_SECONDS
    ) -> bytes:
        with unavailable(f"failed to {method} {path}"):
            response = await self._open(method, path, query, body, aiohttp.ClientTimeout(total=seconds))
            return await response.read()

    async def _open(
        self, method: str, path: str, query: Query, body: Any, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """The answer to a request that succeeded, not yet read."""
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json, */*", "User-Agent": names.FIELD_MANAGER}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        answer = await self._api.rest_client.request(method, url, headers=headers, body=body, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        if response.status < 300:  # noqa: PLR2004 - HTTP success
            return response
        raise error_of(f"failed to {method} {path}", response.status, await response.read())


def _is_ours(existing: dict[str, Any], metadata: dict[str, Any]) -> bool:
    """Whether an object has the owner that `metadata` names, or is the same copy: that has no owner, only labels."""
    if owners := metadata.get("ownerReferences"):
        return any(ref["uid"] == owners[0]["uid"] for ref in existing["metadata"].get("ownerReferences", []))
    labels = existing["metadata"].get("labels", {})
    told = (names.LABEL_ROLE, names.LABEL_SOURCE_NAMESPACE, names.LABEL_RERANKER)
    return all(labels.get(label) == metadata["labels"].get(label) for label in told)


def _is_left_over(existing: dict[str, Any], metadata: dict[str, Any]) -> bool:
    """Whether an object belongs to a deleted reranker of the same name."""
    wanted = [(ref["kind"], ref["name"]) for ref in metadata.get("ownerReferences", [])]
    return any((ref["kind"], ref["name"]) in wanted for ref in existing["metadata"].get("ownerReferences", []))
