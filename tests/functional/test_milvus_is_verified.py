"""The whole operator with a real Milvus Lite over TCP: the condition MilvusVerified, and that nothing stays behind."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymilvus import MilvusClient as Pymilvus

from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.cluster.pki import Authority
from tests.doubles.milvus_gate import MilvusGate
from tests.doubles.milvus_lite_server import MilvusLite, free_port
from tests.functional.test_external_endpoint import LOOPBACK, published
from tests.functional.world import Object, World, running_world
from tests.produces import produces

SOON = 40.0


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusLite]:
    with MilvusLite(tmp_path_factory.mktemp("milvus")) as running:
        yield running


@pytest.fixture
def gate(lite: MilvusLite) -> Iterator[MilvusGate]:
    """A full Milvus 2.6.6, as far as a check can tell; no collection is left in it at the end."""
    owner = Pymilvus(lite.url, dedicated=True)  # a shared connection pings, and Milvus Lite drops it
    with MilvusGate(lite.address, model="model-a") as running:
        running.version = "2.6.6"
        yield running
        assert [] == owner.list_collections()
    owner.close()


@pytest.fixture
def open_world(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world whose operator may call loopback, where Milvus is, and where the model is published for it."""
    with running_world(control_plane, tmp_path, {"RERANK_OPERATOR_ALLOWED_HOSTS": f"127.0.0.1,{LOOPBACK}"}) as running:
        yield running


def reranker(world: World, uri: str, connection: Object | None = None, **spec: Any) -> None:
    """A reranker with a Milvus that reaches its engine under the published address."""
    milvus = {"connection": {"uri": uri, **(connection or {})}, **spec.pop("milvus", {})}
    world.reranker(publish={"endpoint": f"http://{world.engine('model-a').host}:8000"}, milvus=milvus, **spec)


def told(world: World) -> Object:
    return world.conditions().get("MilvusVerified", {"status": "", "reason": "", "message": ""})


def wait_for(world: World, reason: str) -> Object:
    world.wait_until(lambda: reason == told(world)["reason"], SOON)
    return told(world)


def test_a_search_in_milvus_with_the_published_function_is_reranked(open_world: World, gate: MilvusGate) -> None:
    reranker(open_world, gate.url)
    condition = wait_for(open_world, "MilvusVerified")

    assert "True" == condition["status"]
    assert "2.6.6" in condition["message"]
    assert {"version": "2.6.6"} == (open_world.get("rerankservice", "bge") or {})["status"]["milvus"]
    assert {"CreateCollection", "Search", "DropCollection"} <= set(gate.calls)
    open_world.wait_for_reason("Ready")


def test_milvus_lite_is_tried_with_its_own_params(open_world: World, lite: MilvusLite) -> None:
    reranker(open_world, lite.url)

    assert "milvus_lite" in wait_for(open_world, "MilvusVerified")["message"]


@produces(Reason.SEARCH_NOT_CHECKED, by="Milvus")
def test_who_allows_no_collection_gets_the_version_only(open_world: World, gate: MilvusGate) -> None:
    reranker(open_world, gate.url, {"check": "Version"})

    assert "Unknown" == wait_for(open_world, "SearchNotChecked")["status"]
    assert "CreateCollection" not in gate.calls


def test_a_milvus_that_is_down_keeps_nothing_from_being_published(open_world: World) -> None:
    reranker(open_world, f"http://127.0.0.1:{free_port()}", {"timeoutSeconds": 5})
    open_world.wait_for_reason("Ready")
    condition = wait_for(open_world, "MilvusUnreachable")

    assert "False" == condition["status"]
    assert "NetworkPolicies" in condition["message"]
    assert "True" == open_world.conditions()["Ready"]["status"]


def test_a_milvus_in_another_network_cannot_reach_the_model_and_that_is_said(
    open_world: World, gate: MilvusGate
) -> None:
    open_world.reranker(milvus={"connection": {"uri": gate.url}})
    condition = wait_for(open_world, "EndpointUnreachableFromMilvus")

    assert "spec.publish.endpoint" in condition["message"]
    assert f"http://bge.{open_world.namespace}.svc:8000" == published(open_world, "RERANK_ENDPOINT")


@produces(Reason.WAITING_FOR_MILVUS, by="Milvus")
def test_what_has_to_be_verified_is_published_only_afterwards(open_world: World, gate: MilvusGate) -> None:
    gate.provider_enabled = False
    reranker(open_world, gate.url, milvus={"requireVerified": True})
    ready = open_world.wait_for_reason("WaitingForMilvus", seconds=SOON)
    open_world.wait_until(lambda: "ProviderDisabled" in open_world.conditions()["Ready"]["message"], SOON)
    assert "True" == open_world.conditions()["RerankVerified"]["status"], ready
    assert open_world.get("configmap", "bge-milvus") is None

    gate.provider_enabled = True
    reranker(open_world, gate.url, {"timeoutSeconds": 61}, milvus={"requireVerified": True})
    open_world.wait_for_reason("Ready", seconds=SOON)
    assert "2.6.6" == (open_world.get("rerankservice", "bge") or {})["status"]["milvus"]["version"]


def test_a_published_reranker_stays_published_when_milvus_fails_later(open_world: World, gate: MilvusGate) -> None:
    reranker(open_world, gate.url, milvus={"requireVerified": True})
    open_world.wait_for_reason("Ready", seconds=SOON)
    before = open_world.get("configmap", "bge-milvus")
    gate.provider_enabled = False
    reranker(open_world, gate.url, {"timeoutSeconds": 61}, milvus={"requireVerified": True})

    wait_for(open_world, "ProviderDisabled")
    assert before == open_world.get("configmap", "bge-milvus")
    assert "True" == open_world.conditions()["Ready"]["status"]


def test_a_milvus_that_ignores_rerankers_is_named(open_world: World, gate: MilvusGate) -> None:
    gate.version = "v2.5.14"
    reranker(open_world, gate.url)
    condition = wait_for(open_world, "ServerTooOld")

    assert "v2.5.14" in condition["message"]
    assert "CreateCollection" not in gate.calls


def test_a_host_that_nobody_allowed_is_never_called(world: World, gate: MilvusGate) -> None:
    world.reranker(milvus={"connection": {"uri": gate.url}})

    assert "allowedHosts" in wait_for(world, "HostNotAllowed")["message"]
    assert [] == gate.calls


def test_the_token_and_the_key_reach_milvus_and_nobody_else(open_world: World, gate: MilvusGate) -> None:
    token, key = "searcher:a-password-of-milvus", "sk-of-the-model-0123"
    for name, value in (("milvus-token", token), ("callers", key)):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": value}}
        open_world.apply(secret)
    gate.token, gate.credentials = token, {"bge": key}
    open_world.engine("model-a").keys = frozenset({key})
    reranker(
        open_world,
        gate.url,
        {"tokenSecretRef": {"name": "milvus-token"}},
        access={"bearerSecretRef": {"name": "callers"}},
    )
    wait_for(open_world, "MilvusVerified")

    everything = open_world.kubectl(
        "get", "rrs,configmaps,deployments,controllerrevisions,services,events", "-o", "yaml"
    )
    for text in (everything, open_world.operator.log_text):
        assert token not in text
        assert key not in text


def test_a_milvus_that_asks_for_a_certificate_is_shown_that_of_the_secret(
    open_world: World, lite: MilvusLite, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    server, client = (
        authority.issue_server("milvus", "/CN=milvus", ["milvus.search.svc"]),
        authority.issue_client("c", "c"),
    )
    certificates, private = authority.certificate.read_text(), client.key.read_text()
    own = {"tls.crt": client.certificate.read_text(), "tls.key": private}
    kinds: dict[str, Object] = {
        "ConfigMap": {"data": {"ca.crt": certificates}},
        "Secret": {"type": "kubernetes.io/tls", "stringData": own},
    }
    for kind, content in kinds.items():
        open_world.apply({"apiVersion": "v1", "kind": kind, "metadata": {"name": "milvus-tls"}, **content})
    tls: Object = {"caBundle": {"configMapName": "milvus-tls"}, "serverName": "milvus.search.svc"}
    pair = (server.key.read_bytes(), server.certificate.read_bytes())

    with MilvusGate(lite.address, model="model-a", certificate=pair, authority=certificates.encode()) as gate:
        reranker(open_world, gate.url, {"tls": tls})
        condition = wait_for(open_world, "MilvusUnreachable")
        assert "False" == condition["status"]
        assert "set spec.milvus.connection.tls.clientSecretRef" in condition["message"]
        assert [] == gate.calls

        reranker(open_world, gate.url, {"tls": {**tls, "clientSecretRef": {"name": "milvus-tls"}}})
        assert "True" == wait_for(open_world, "MilvusVerified")["status"]

    everything = open_world.kubectl("get", "rrs,configmaps,deployments,controllerrevisions,events", "-o", "yaml")
    for line in private.splitlines():
        assert line not in everything + open_world.operator.log_text


def test_a_restart_of_the_operator_changes_no_status(open_world: World, gate: MilvusGate) -> None:
    reranker(open_world, gate.url)
    wait_for(open_world, "MilvusVerified")
    open_world.wait_for_reason("Ready")
    before, asked = open_world.settle(), gate.calls.count("Search")
    open_world.operator.stop()
    open_world.operator.start()
    open_world.wait_until(lambda: gate.calls.count("Search") > asked, SOON)

    assert before == open_world.settle()


def test_params_that_only_a_later_milvus_knows_wait_for_its_version(open_world: World, gate: MilvusGate) -> None:
    gate.version = "3.0.0"
    reranker(open_world, gate.url, milvus={"timeoutMilliseconds": 12000})
    wait_for(open_world, "MilvusVerified")

    assert 12000 == json.loads(published(open_world, "params.json"))["timeout_ms"]
    gate.version = "2.6.6"
    reranker(open_world, gate.url, {"timeoutSeconds": 61}, milvus={"timeoutMilliseconds": 12000})
    open_world.wait_until(lambda: "timeout_ms" not in published(open_world, "params.json"), SOON)
