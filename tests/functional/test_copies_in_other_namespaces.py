"""Copies of the publication in namespaces that agree to it, and the Secret for Service Binding."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.functional.world import Object, World, running_world
from tests.produces import produces

ACCEPTS = "rerank-operator.io/accept-publications-from"


class Shop:
    """A namespace beside that of the reranker."""

    def __init__(self, control_plane: ControlPlane, name: str) -> None:
        self.name = name
        self._control_plane = control_plane

    def kubectl(self, *arguments: str) -> str:
        return self._control_plane.kubectl(*arguments)

    def accept(self, source: str | None) -> None:
        told = f"{ACCEPTS}-" if source is None else f"{ACCEPTS}={source}"
        self.kubectl("annotate", "--overwrite", "namespace", self.name, told)

    def copy(self) -> Object | None:
        found = self.kubectl(
            "--namespace", self.name, "get", "configmap", "bge-milvus", "--output=json", "--ignore-not-found"
        )
        return json.loads(found) if found.strip() else None


@pytest.fixture
def shop(control_plane: ControlPlane) -> Iterator[Shop]:
    found = Shop(control_plane, f"shop-{uuid.uuid4().hex[:8]}")
    control_plane.kubectl("create", "namespace", found.name)
    yield found
    control_plane.kubectl("delete", "namespace", found.name, "--wait=false")


@pytest.fixture
def wide(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world whose operator watches the whole cluster; it looks everything up every few seconds."""
    settings = {"RERANK_OPERATOR_WATCH_NAMESPACES": "", "RERANK_OPERATOR_RESYNC_SECONDS": "3"}
    with running_world(control_plane, tmp_path, settings) as running:
        yield running


def copies_told(world: World) -> tuple[str, str, str]:
    condition = world.conditions().get("CopiesPublished", {"status": "", "reason": "", "message": ""})
    return condition["status"], condition["reason"], condition["message"]


def published(world: World) -> Object:
    return world.get("configmap", "bge-milvus") or {}


def test_a_copy_says_the_same_follows_and_goes_with_its_reranker(wide: World, shop: Shop) -> None:
    shop.accept(f"elsewhere, {wide.namespace}")
    wide.reranker(publish={"namespaces": [shop.name]})
    wide.wait_for_reason("Ready")
    wide.wait_until(shop.copy)
    assert published(wide)["data"] == (shop.copy() or {})["data"]
    wide.wait_until(lambda: "CopiesPublished" == copies_told(wide)[1])
    wide.wait_until(lambda: [shop.name] == (wide.get("rerankservice", "bge") or {})["status"].get("copies"))

    wide.reranker(publish={"namespaces": [shop.name]}, milvus={"inputField": "body"})
    wide.wait_until(lambda: '"body"' in (shop.copy() or {})["data"]["function.json"])
    shop.kubectl(
        "--namespace",
        shop.name,
        "patch",
        "configmap",
        "bge-milvus",
        "--type=merge",
        "-p",
        '{"data": {"params.json": "{}"}}',
    )
    wide.wait_until(lambda: published(wide)["data"] == (shop.copy() or {})["data"])
    for obj in (shop.copy(), published(wide), wide.get("rerankservice", "bge")):
        assert "finalizers" not in (obj or {})["metadata"]

    wide.kubectl("delete", "rrs", "bge")
    wide.wait_until(lambda: shop.copy() is None)


def test_a_key_that_somebody_adds_to_a_copy_goes_again(wide: World, shop: Shop) -> None:
    shop.accept(wide.namespace)
    wide.reranker(publish={"namespaces": [shop.name]})
    wide.wait_until(shop.copy)
    more = '{"data": {"more": "x"}}'
    shop.kubectl("--namespace", shop.name, "patch", "configmap", "bge-milvus", "--type=merge", "-p", more)

    wide.wait_until(lambda: published(wide)["data"] == (shop.copy() or {})["data"])


def test_a_namespace_that_gets_none_delays_no_other(control_plane: ControlPlane, tmp_path: Path, shop: Shop) -> None:
    with running_world(control_plane, tmp_path, {"RERANK_OPERATOR_WATCH_NAMESPACES": ""}) as quiet:
        publish = {"namespaces": ["nowhere-at-all", shop.name]}
        shop.accept(quiet.namespace)
        quiet.reranker(publish=publish)
        quiet.wait_for_reason("Ready")
        quiet.wait_until(shop.copy, seconds=10)
        quiet.reranker(publish=publish, milvus={"inputField": "body"})
        quiet.wait_until(lambda: '"body"' in (shop.copy() or {})["data"]["function.json"], seconds=10)


@produces(Reason.NAMESPACE_NOT_OPTED_IN, Reason.NAMESPACE_MISSING, by="API server")
def test_a_namespace_that_did_not_agree_gets_nothing_and_is_named(wide: World, shop: Shop) -> None:
    wide.reranker(publish={"namespaces": [shop.name, "nowhere-at-all"]})
    wide.wait_for_reason("Ready")
    wide.wait_until(lambda: "NamespaceNotOptedIn" == copies_told(wide)[1])
    assert "namespace nowhere-at-all: it does not exist" in copies_told(wide)[2]
    assert "True" == wide.conditions()["Ready"]["status"]
    assert shop.copy() is None

    wide.reranker(publish={"namespaces": ["nowhere-at-all"]})
    wide.wait_until(lambda: "NamespaceMissing" == copies_told(wide)[1])


def test_a_namespace_that_agrees_no_more_loses_its_copy(wide: World, shop: Shop) -> None:
    shop.accept("*")
    wide.reranker(publish={"namespaces": [shop.name]})
    wide.wait_until(shop.copy)

    shop.accept(None)
    wide.wait_until(lambda: shop.copy() is None)
    wide.wait_until(lambda: "NamespaceNotOptedIn" == copies_told(wide)[1])


def test_a_namespace_that_agrees_no_more_loses_its_copy_also_while_the_reranker_is_refused(
    wide: World, shop: Shop
) -> None:
    shop.accept(wide.namespace)
    wide.reranker(publish={"namespaces": [shop.name]})
    wide.wait_until(shop.copy)
    wide.reranker(model="mixedbread-ai/mxbai-rerank-base-v1", publish={"namespaces": [shop.name]})
    wide.wait_for_reason("ModelRefused")
    assert shop.copy() is not None

    shop.accept(None)
    wide.wait_until(lambda: shop.copy() is None)
    assert "model-a" == published(wide)["data"]["RERANK_MODEL"]


@produces(Reason.NAMESPACE_MISSING, by="API server")
def test_a_namespace_that_the_operator_does_not_watch_gets_none(world: World, shop: Shop) -> None:
    shop.accept(world.namespace)
    world.reranker(publish={"namespaces": [shop.name]})
    world.wait_for_reason("Ready")

    world.wait_until(lambda: "NamespaceMissing" == copies_told(world)[1])
    assert f"namespace {shop.name}: the operator does not watch it" in copies_told(world)[2]
    assert shop.copy() is None


def test_a_reranker_that_was_deleted_while_the_operator_was_away_leaves_no_copy(wide: World, shop: Shop) -> None:
    shop.accept(wide.namespace)
    wide.reranker(publish={"namespaces": [shop.name]})
    wide.wait_until(shop.copy)
    wide.operator.stop()
    wide.kubectl("delete", "rrs", "bge")
    assert shop.copy() is not None

    wide.operator.start()
    wide.wait_until(lambda: shop.copy() is None)


@produces(Reason.COPY_REFUSED, by="API server")
def test_a_foreign_config_map_of_that_name_is_never_touched(wide: World, shop: Shop) -> None:
    shop.accept(wide.namespace)
    shop.kubectl("--namespace", shop.name, "create", "configmap", "bge-milvus", "--from-literal=mine=yes")
    wide.reranker(publish={"namespaces": [shop.name]})
    wide.wait_for_reason("Ready")

    wide.wait_until(lambda: "CopyRefused" == copies_told(wide)[1])
    assert "not ours" in copies_told(wide)[2]
    wide.kubectl("delete", "rrs", "bge")
    wide.wait_until(lambda: wide.get("configmap", "bge-milvus") is None)
    assert {"mine": "yes"} == (shop.copy() or {})["data"]


def test_an_operator_that_does_not_watch_the_source_leaves_copies_alone(
    control_plane: ControlPlane, tmp_path: Path, wide: World, shop: Shop
) -> None:
    shop.accept(wide.namespace)
    wide.reranker(publish={"namespaces": [shop.name]})
    wide.wait_until(shop.copy)
    wide.operator.stop()
    settings = {"RERANK_OPERATOR_WATCH_NAMESPACES": shop.name, "RERANK_OPERATOR_RESYNC_SECONDS": "1"}
    (tmp_path / "other").mkdir()
    with running_world(control_plane, tmp_path / "other", settings) as narrow:
        narrow.operator.stop()
        narrow.operator.start()
        narrow.settle()

        assert shop.copy() is not None


def test_the_secret_for_service_binding_comes_follows_and_goes(world: World) -> None:
    world.reranker(publish={"serviceBinding": True})
    world.wait_for_reason("Ready")
    world.wait_until(lambda: world.get("secret", "bge-binding"))
    secret = world.get("secret", "bge-binding") or {}
    assert "servicebinding.io/rerank" == secret["type"]
    world.wait_until(
        lambda: {"name": "bge-binding"} == (world.get("rerankservice", "bge") or {})["status"].get("binding")
    )

    world.reranker(publish={"serviceBinding": True}, service={"port": 9000})
    world.wait_until(lambda: secret["data"]["port"] != (world.get("secret", "bge-binding") or {})["data"]["port"])
    world.reranker()
    world.wait_until(lambda: world.get("secret", "bge-binding") is None)
    world.wait_until(lambda: "binding" not in (world.get("rerankservice", "bge") or {})["status"])


def test_the_entry_of_the_credential_goes_when_no_key_is_needed_any_more(world: World) -> None:
    world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "callers"}, "stringData": {"one": "sk-1"}})
    world.engine("model-a").keys = frozenset({"sk-1"})
    world.reranker(publish={"serviceBinding": True}, access={"bearerSecretRef": {"name": "callers"}})
    world.wait_until(lambda: "credential" in (world.get("secret", "bge-binding") or {"data": {}})["data"])

    world.reranker(model="model-b", publish={"serviceBinding": True})
    world.wait_until(lambda: "credential" not in (world.get("secret", "bge-binding") or {})["data"])


def test_a_foreign_secret_of_that_name_is_never_touched(world: World) -> None:
    foreign: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bge-binding"},
        "stringData": {"mine": "yes"},
    }
    world.apply(foreign)
    world.reranker(publish={"serviceBinding": True})
    world.wait_for_reason("Ready")

    world.wait_until(lambda: "CopyRefused" == copies_told(world)[1])
    assert ["mine"] == list((world.get("secret", "bge-binding") or {})["data"])


def test_converged_copies_cause_no_writes(wide: World, shop: Shop) -> None:
    shop.accept(wide.namespace)
    wide.reranker(publish={"namespaces": [shop.name], "serviceBinding": True})
    wide.wait_for_reason("Ready")
    wide.wait_until(lambda: "CopiesPublished" == copies_told(wide)[1])
    before, copy = wide.settle(), shop.copy()
    wide.operator.stop()
    wide.operator.start()

    assert before == wide.settle()
    assert copy == shop.copy()
