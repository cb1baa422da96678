"""Service, HTTPRoute and Ingress, as a real API server takes them and gives them back."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.clients.errors import ObjectInvalid
from rerank_operator.clients.kube import NAMESPACES, KubeClient
from rerank_operator.resources.drift import is_drifted
from rerank_operator.resources.route import build_route
from rerank_operator.resources.service import build_service
from tests.cluster.control_plane import ControlPlane
from tests.contract.generate import CRD_FILE

pytestmark = pytest.mark.control_plane

Object = dict[str, Any]
HTTP_ROUTE_CRD: Final = Path(__file__).resolve().parents[1] / "doubles" / "http_route_crd.yaml"
ACTIVE: Final = "5f8d7c01"
BALANCER: Final = {
    "type": "LoadBalancer",
    "loadBalancerClass": "example.com/internal",
    "loadBalancerSourceRanges": ["10.0.0.0/8"],
    "annotations": {"example.com/internal": "true"},
}
# Every way from one type to another, with what only some of them take.
CHANGES: Final[tuple[Object, ...]] = (
    {},
    {"type": "NodePort"},
    {},
    {"type": "NodePort", "nodePort": 30007},
    {"type": "NodePort", "port": 9000},
    BALANCER,
    {"type": "LoadBalancer", "loadBalancerClass": "example.com/internal"},
    {"type": "NodePort"},
    BALANCER,
    {"port": 9000},
)
GATEWAY: Final = {"hostname": "rerank.example.com", "gateway": {"name": "public", "namespace": "gateways"}}
INGRESS: Final = {"hostname": "rerank.example.com", "tls": True, "ingress": {"className": "nginx"}}


class Cluster:
    """One namespace, written to as the operator writes."""

    def __init__(self, kube: KubeClient, owner: Object) -> None:
        self.kube = kube
        self.namespace = owner["metadata"]["namespace"]
        self._owner = owner

    def parts(self, **spec: Any) -> tuple[RerankService, Object]:
        changed = {**self._owner, "spec": {**self._owner["spec"], **spec}}
        return RerankService.model_validate({k: v for k, v in changed.items() if k != "status"}), self._owner

    def service(self, **service: Any) -> Object:
        return build_service(*self.parts(service=service), ACTIVE)

    def route(self, **route: Any) -> Object:
        built = build_route(*self.parts(route=route))
        assert built is not None
        return built


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane(manifests=[CRD_FILE, HTTP_ROUTE_CRD]) as running:
        yield running


@asynccontextmanager
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", namespace)
    owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "bge", "namespace": namespace}}
    kube = await KubeClient.connect(str(control_plane.kubeconfig))
    try:
        yield Cluster(kube, await kube.create({**owner, "spec": {"model": {"name": "model-a"}}}))
    finally:
        await kube.close()


def test_the_type_of_a_service_can_be_changed_in_every_direction(control_plane: ControlPlane) -> None:
    async def run() -> None:
        async with cluster(control_plane) as world:
            await world.kube.create(world.service())
            for change in CHANGES:
                ours = world.service(**change)
                live = await world.kube.update(ours)
                assert not is_drifted(ours, live), change
                assert change.get("type", "ClusterIP") == live["spec"]["type"]
                assert change.get("loadBalancerSourceRanges") == live["spec"].get("loadBalancerSourceRanges")
            assert "nodePort" not in live["spec"]["ports"][0]

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_the_port_of_the_nodes_that_kubernetes_chose_survives_an_update(control_plane: ControlPlane, kind: str) -> None:
    async def run() -> None:
        async with cluster(control_plane) as world:
            created = await world.kube.create(world.service(type=kind))
            assert not is_drifted(world.service(type=kind), created)
            updated = await world.kube.update(world.service(type=kind, port=9000))

            (before,), (after,) = created["spec"]["ports"], updated["spec"]["ports"]
            assert (9000, before["nodePort"]) == (after["port"], after["nodePort"])

    asyncio.run(run())


def test_an_update_that_changes_nothing_is_not_stored(control_plane: ControlPlane) -> None:
    async def run() -> None:
        async with cluster(control_plane) as world:
            for ours in (world.service(**BALANCER), world.route(**GATEWAY), world.route(**INGRESS)):
                created = await world.kube.create(ours)
                updated = await world.kube.update(ours)
                assert created["metadata"]["resourceVersion"] == updated["metadata"]["resourceVersion"]

    asyncio.run(run())


@pytest.mark.parametrize("route", [GATEWAY, INGRESS], ids=["HTTPRoute", "Ingress"])
def test_a_route_is_taken_and_given_back_as_it_was_meant(control_plane: ControlPlane, route: Object) -> None:
    async def run() -> None:
        async with cluster(control_plane) as world:
            ours = world.route(**route)
            assert not is_drifted(ours, await world.kube.create(ours))
            changed = world.route(**{**route, "hostname": "other.example.com", "tls": False})
            assert not is_drifted(changed, live := await world.kube.update(changed))
            assert not live["spec"].get("tls")

    asyncio.run(run())


def test_a_class_of_a_balancer_that_cannot_be_changed_is_refused_with_its_field(control_plane: ControlPlane) -> None:
    async def run() -> None:
        async with cluster(control_plane) as world:
            await world.kube.create(world.service(**BALANCER))
            with pytest.raises(ObjectInvalid, match="loadBalancerClass"):
                await world.kube.update(world.service(**{**BALANCER, "loadBalancerClass": "example.com/other"}))

    asyncio.run(run())


def test_what_only_some_clusters_have_is_found_out(control_plane: ControlPlane) -> None:
    async def run() -> None:
        async with cluster(control_plane) as world:
            assert (True, False) == (await world.kube.has_gateway_api(), await world.kube.has_keda())
            found = await world.kube.get(NAMESPACES, None, world.namespace)
            assert found is not None
            assert world.namespace == found["metadata"]["name"]

    asyncio.run(run())
