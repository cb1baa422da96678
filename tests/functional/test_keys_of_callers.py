"""A reranker that asks callers for a key: verified with the key, published without it."""

import base64
import json
from collections.abc import Iterator

import pytest

from rerank_operator.api.reasons import Reason
from tests.doubles.pod_status import never_ready
from tests.functional.world import World
from tests.produces import produces

KEY, NEXT_KEY = "sk-first-0123456789", "sk-second-9876543210"
ACCESS = {"bearerSecretRef": {"name": "callers"}}


@pytest.fixture
def keyed(world: World) -> Iterator[World]:
    """A world with the Secret, and engines that let in who has its first key."""
    secret(world, KEY)
    for model in ("model-a", "model-b"):
        world.engine(model).keys = frozenset({KEY})
    yield world
    everything = world.kubectl(
        "get", "rrs,configmaps,deployments,controllerrevisions,services,events,pods", "-o", "yaml"
    )
    for told in (everything, world.operator.log_text):
        for key in (KEY, base64.b64encode(KEY.encode()).decode()):
            assert key not in told


def secret(world: World, *keys: str) -> None:
    data = {f"caller-{number}": key for number, key in enumerate(keys)}
    world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "callers"}, "stringData": data})


def published(world: World, key: str) -> str:
    config_map = world.get("configmap", "bge-milvus")
    assert config_map is not None
    return str(config_map["data"][key])


def test_it_is_asked_with_the_key_and_without_it(keyed: World) -> None:
    keyed.reranker(access=ACCESS)
    keyed.wait_for_reason("Ready")

    sent = [request.headers.get("Authorization") for request in keyed.engine("model-a").requests if request.body]
    assert [None, *[f"Bearer {KEY}"] * (len(sent) - 1)] == sent


def test_the_params_name_the_credential_and_milvus_yaml_says_where_the_key_goes(keyed: World) -> None:
    keyed.reranker(access=ACCESS, milvus={"credentialName": "rerank-key"})
    keyed.wait_for_reason("Ready")

    assert "rerank-key" == json.loads(published(keyed, "params.json"))["credential"]
    assert "rerank-key" == published(keyed, "RERANK_CREDENTIAL")
    server = published(keyed, "milvus.yaml")
    assert f"Secret {keyed.namespace}/callers" in server
    assert 'credential:\n  "rerank-key":\n    apikey: KEY\n' in server
    assert "api_key" not in json.loads(published(keyed, "milvus-lite.json"))


def test_the_pod_mounts_the_secret_and_the_guard_reads_it_there(keyed: World) -> None:
    keyed.reranker(access=ACCESS)
    keyed.wait_until(lambda: keyed.objects("pods"))

    spec = keyed.objects("pods")[0]["spec"]
    (volume,) = [v for v in spec["volumes"] if v["name"] == "keys"]
    (mount,) = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "keys"]
    env = {e["name"]: e.get("value") for e in spec["containers"][0]["env"]}
    assert "callers" == volume["secret"]["secretName"]
    assert mount["mountPath"] == env["RERANK_GUARD_KEYS_DIR"]


@produces(Reason.KEY_NOT_ENFORCED, by="double")
def test_an_engine_that_answers_without_the_key_is_never_published(keyed: World) -> None:
    keyed.engine("model-a").keys = frozenset()
    keyed.reranker(access=ACCESS)

    keyed.wait_for_reason("KeyNotEnforced")
    assert keyed.get("configmap", "bge-milvus") is None


@produces(Reason.UNAUTHORIZED, by="double")
def test_another_key_than_that_of_the_secret_is_named(keyed: World) -> None:
    keyed.engine("model-a").keys = frozenset({NEXT_KEY})
    keyed.reranker(access=ACCESS)

    keyed.wait_for_reason("Unauthorized")
    assert keyed.get("configmap", "bge-milvus") is None


@produces(Reason.SECRET_MISSING, Reason.SECRET_KEY_MISSING, by="API server")
def test_a_missing_secret_is_named_and_so_is_one_without_a_key(world: World) -> None:
    world.misbehave("model-a", never_ready())
    world.engine("model-a").keys = frozenset({KEY})
    world.reranker(access=ACCESS)
    ready = world.wait_for_reason("SecretMissing")
    assert "Secret 'callers' of spec.access.bearerSecretRef does not exist" in ready["message"]

    secret(world)
    world.wait_for_reason("SecretKeyMissing", seconds=40)
    secret(world, KEY)
    world.misbehave("model-a", None)
    world.wait_for_reason("Ready")


def test_asking_for_a_key_later_is_a_change_like_any_other(keyed: World) -> None:
    keyed.engine("model-a").keys = frozenset()
    keyed.reranker()
    keyed.wait_for_reason("Ready")
    assert "" == published(keyed, "RERANK_CREDENTIAL")
    keyed.engine("model-a").keys = frozenset({KEY})
    keyed.reranker(access=ACCESS)

    keyed.wait_until(lambda: "bge" == published(keyed, "RERANK_CREDENTIAL"))
    keyed.wait_for_reason("Ready")


def test_a_reranker_without_a_key_is_asked_without_one(world: World) -> None:
    secret(world, KEY)
    world.reranker()
    world.wait_for_reason("Ready")

    assert not any("Authorization" in request.headers for request in world.engine("model-a").requests)
