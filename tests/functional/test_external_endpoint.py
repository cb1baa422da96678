"""A rerank server that somebody else runs: nothing is deployed, and the same verification and publication apply."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import ControlPlane
from tests.functional.test_slow_and_foreign_servers import Gateway, gateway
from tests.functional.world import Object, World, running_world
from tests.produces import produces

DEPLOYED = "deployments,services,controllerrevisions,pods,poddisruptionbudgets,ingresses"


@pytest.fixture
def open_world(control_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world whose operator may call any address of loopback that a test names."""
    with running_world(control_plane, tmp_path, {"RERANK_OPERATOR_ALLOWED_HOSTS": LOOPBACK}) as running:
        yield running


# Every host that this process gives to an engine (`world._unused_host`), whatever ran before.
LOOPBACK = ",".join(f"127.{1 + os.getpid() % 250}.{third}.{last}" for third in range(1, 9) for last in range(1, 251))


def external(world: World, model: str = "model-a", name: str = "bge", **spec: object) -> str:
    """A reranker whose server is the engine of `model`; returns its address."""
    url = f"http://{world.engine(model).host}:8000"
    world.reranker(name=name, model=model, external={"endpoint": url}, **spec)
    return url


def published(world: World, key: str) -> str:
    config_map = world.get("configmap", "bge-milvus") or {"data": {key: ""}}
    return str(config_map["data"][key])


def test_it_is_verified_and_published_and_nothing_is_deployed(open_world: World) -> None:
    url = external(open_world)
    open_world.wait_for_reason("Ready")

    params = json.loads(published(open_world, "params.json"))
    assert (url, 256, 256) == (params["endpoint"], params["max_client_batch_size"], params["max_batch"])
    assert [] == [o["kind"] for o in open_world.objects(DEPLOYED) if o["metadata"]["name"] != "kubernetes"]
    routes = {request.path for request in open_world.engine("model-a").requests if request.body}
    assert {"/rerank", "/v2/rerank", "/v1/rerank"} == routes


@produces(Reason.EXTERNAL_ENDPOINT, by="double")
def test_the_status_tells_who_runs_the_model_and_what_was_measured(open_world: World) -> None:
    url = external(open_world)
    open_world.wait_for_reason("Ready")

    status = (open_world.get("rerankservice", "bge") or {})["status"]
    engine = open_world.conditions()["EngineAvailable"]
    assert ("True", "ExternalEndpoint") == (engine["status"], engine["reason"])
    assert (url, "bge-milvus") == (status["endpoint"], status["configMapName"])
    assert (url, "RerankVerified") == (
        status["verification"]["pods"][0]["name"],
        status["verification"]["pods"][0]["reason"],
    )
    assert "ZeroToOne" == status["verification"]["scoreScale"]


def test_a_server_that_ranks_wrong_is_not_published_and_one_that_goes_wrong_stays(open_world: World) -> None:
    open_world.engine("model-a").mode = "wrong-order"
    external(open_world, verification={"intervalSeconds": 10})
    open_world.wait_for_reason("RankingWrong")
    assert open_world.get("configmap", "bge-milvus") is None

    open_world.engine("model-a").mode = "right"
    open_world.wait_for_reason("Ready", seconds=30)
    open_world.engine("model-a").mode = "constant-scores"
    open_world.wait_for_reason("ScoresConstant", seconds=30)
    assert open_world.get("configmap", "bge-milvus") is not None


@produces(Reason.HOST_NOT_ALLOWED, by="double")
def test_a_host_that_nobody_allowed_is_never_called(world: World) -> None:
    url = external(world)
    ready = world.wait_for_reason("HostNotAllowed")

    assert url in ready["message"]
    assert "allowedHosts" in ready["message"]
    assert [] == world.engine("model-a").requests


def test_a_redirect_is_not_followed(open_world: World) -> None:
    elsewhere = open_world.engine("model-b")
    with gateway(open_world, "model-a", _redirecting(f"http://{elsewhere.host}:8000")):
        external(open_world)
        ready = open_world.wait_for_reason("AnswerMalformed")

    assert "307" in ready["message"]
    assert [] == elsewhere.requests


def _redirecting(url: str) -> type[Gateway]:
    class Redirecting(Gateway):
        def do_POST(self) -> None:  # noqa: N802 - the name is http.server's
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", f"{url}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Redirecting


def test_a_long_answer_is_not_repeated_at_length(open_world: World) -> None:
    open_world.engine("model-a").mode = "engine-dead"
    external(open_world)

    assert 1024 > len(open_world.wait_for_reason("EngineError")["message"])


def test_its_key_is_sent_and_the_credential_published(open_world: World) -> None:
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "stringData": {"k": "sk-1"}}
    open_world.apply(secret)
    open_world.engine("model-a").keys = frozenset({"sk-1"})
    external(open_world, access={"bearerSecretRef": {"name": "theirs"}})
    open_world.wait_for_reason("Ready")

    assert "bge" == json.loads(published(open_world, "params.json"))["credential"]


def test_from_our_own_pods_to_an_external_server_and_back(open_world: World) -> None:
    open_world.reranker(model="model-a")
    open_world.wait_for_reason("Ready")
    inside = published(open_world, "RERANK_ENDPOINT")
    url = external(open_world, "model-b")
    open_world.wait_until(lambda: url == published(open_world, "RERANK_ENDPOINT"))
    open_world.wait_until(
        lambda: [] == [o for o in open_world.objects("deployments,services,pods") if "bge" in o["metadata"]["name"]]
    )

    open_world.kubectl("patch", "rrs", "bge", "--type=json", "-p", '[{"op": "remove", "path": "/spec/external"}]')
    open_world.wait_until(lambda: inside == published(open_world, "RERANK_ENDPOINT"))
    open_world.wait_for_reason("Ready")


def test_while_the_external_server_is_wrong_our_own_pods_go_on_serving(open_world: World) -> None:
    open_world.reranker(model="model-a")
    open_world.wait_for_reason("Ready")
    before = published(open_world, "params.json")
    open_world.engine("model-b").mode = "wrong-order"
    external(open_world, "model-b")
    open_world.wait_for_reason("RankingWrong")

    assert before == published(open_world, "params.json")
    assert 1 == len(open_world.objects("pods"))
    assert open_world.get("service", "bge") is not None


def test_it_is_quiet_once_it_is_ready_also_after_a_restart(open_world: World) -> None:
    external(open_world)
    open_world.wait_for_reason("Ready")
    before = open_world.settle()
    open_world.operator.stop()
    open_world.operator.start()

    assert before == open_world.settle()


def test_a_foreign_service_of_the_same_name_does_not_matter(open_world: World) -> None:
    open_world.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "bge"},
            "spec": {"ports": [{"port": 80}], "selector": {"app": "theirs"}},
        }
    )
    external(open_world)
    open_world.wait_for_reason("Ready")

    assert {"app": "theirs"} == (open_world.get("service", "bge") or {})["spec"]["selector"]
