"""The gate in front of a real API server, or of a server that notes what reaches it."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from tests.cluster.control_plane import ControlPlane
from tests.doubles.api_gate import ApiGate, When, Write
from tests.doubles.kubeconfig import named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as plane:
        yield plane


@pytest.fixture
def gate(plane: ControlPlane) -> Iterator[ApiGate]:
    with ApiGate(plane.kubeconfig) as gate:
        yield gate


def client(gate: ApiGate) -> httpx.Client:
    config = yaml.safe_load(gate.kubeconfig.read_text())
    token = named(config["users"], "operator")["user"]["token"]
    server = named(config["clusters"], "gate")["cluster"]["server"]
    return httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token}"}, trust_env=False)


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def wait_until_killed(gate: ApiGate) -> None:
    deadline = time.monotonic() + 10
    while not gate.killed:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def exists(plane: ControlPlane, name: str) -> bool:
    return bool(plane.kubectl("get", "configmap", name, "--ignore-not-found", "--output=name"))


@pytest.mark.control_plane
def test_every_write_is_noted_in_order_and_takes_effect(plane: ControlPlane, gate: ApiGate) -> None:
    with client(gate) as operator:
        assert 201 == operator.post(CONFIG_MAPS, json=config_map("noted")).status_code
        body = operator.get(f"{CONFIG_MAPS}/noted").json()
        assert 200 == operator.put(f"{CONFIG_MAPS}/noted", json={**body, "data": {"key": "value"}}).status_code
        assert "value" == operator.get(f"{CONFIG_MAPS}/noted").json()["data"]["key"]
        assert 200 == operator.delete(f"{CONFIG_MAPS}/noted").status_code
        assert 404 == operator.get(f"{CONFIG_MAPS}/noted").status_code

    assert ["POST configmaps noted", "PUT configmaps noted", "DELETE configmaps noted"] == list(map(str, gate.writes))
    assert not gate.killed


@pytest.mark.control_plane
def test_a_watch_is_passed_on_event_by_event(plane: ControlPlane, gate: ApiGate) -> None:
    query = {"watch": "1", "fieldSelector": "metadata.name=watched"}
    with client(gate) as operator, operator.stream("GET", CONFIG_MAPS, params=query) as answer:
        events = answer.iter_lines()
        plane.kubectl("create", "configmap", "watched")
        assert "ADDED" == json.loads(next(events))["type"]
        plane.kubectl("delete", "configmap", "watched")
        assert "DELETED" == json.loads(next(events))["type"]


@pytest.mark.control_plane
@pytest.mark.parametrize(("when", "second_exists"), [("before", False), ("after", True)])
def test_the_kill_falls_on_one_side_of_the_write(
    plane: ControlPlane, gate: ApiGate, when: When, second_exists: bool
) -> None:
    kills: list[bool] = []
    with client(gate) as operator:
        gate.kill_at(2, when, lambda: kills.append(exists(plane, f"{when}-2")))
        assert 201 == operator.post(CONFIG_MAPS, json=config_map(f"{when}-1")).status_code
        with pytest.raises(httpx.TransportError):
            operator.post(CONFIG_MAPS, json=config_map(f"{when}-2"))
        wait_until_killed(gate)

    assert [second_exists] == kills
    assert second_exists == exists(plane, f"{when}-2")
    assert Write("POST", "configmaps", f"{when}-2") == gate.killed_at


@pytest.mark.control_plane
def test_after_the_kill_only_the_next_run_gets_through(plane: ControlPlane, gate: ApiGate) -> None:
    with client(gate) as killed:
        gate.kill_at(1, "before", lambda: None)
        with pytest.raises(httpx.TransportError):
            killed.post(CONFIG_MAPS, json=config_map("one"))
        assert 401 == killed.post(CONFIG_MAPS, json=config_map("late")).status_code
    with client(gate) as restarted:
        assert 201 == restarted.post(CONFIG_MAPS, json=config_map("next")).status_code

    assert (False, False, True) == tuple(exists(plane, name) for name in ("one", "late", "next"))


@pytest.mark.control_plane
def test_the_writes_of_one_kind_can_be_counted_alone(gate: ApiGate) -> None:
    with client(gate) as operator:
        gate.kill_at(2, "before", lambda: None, kind="DELETE configmaps")
        for name in ("kept", "removed"):
            operator.post(CONFIG_MAPS, json=config_map(name))
        operator.delete(f"{CONFIG_MAPS}/removed")
        assert not gate.killed
        with pytest.raises(httpx.TransportError):
            operator.delete(f"{CONFIG_MAPS}/kept")
        wait_until_killed(gate)

    assert Write("DELETE", "configmaps", "kept") == gate.killed_at


@pytest.mark.control_plane
def test_an_order_that_was_called_off_kills_nobody(gate: ApiGate) -> None:
    with client(gate) as operator:
        gate.kill_at(1, "before", lambda: None)
        gate.call_off()
        assert 201 == operator.post(CONFIG_MAPS, json=config_map("spared")).status_code

    assert not gate.killed


@pytest.mark.control_plane
def test_one_client_can_be_held_while_another_goes_on(gate: ApiGate) -> None:
    answers: list[int] = []
    with client(gate) as watching, client(gate) as writing:
        watching.headers["User-Agent"] = "kopf/1"
        reader = threading.Thread(target=lambda: answers.append(watching.get(CONFIG_MAPS).status_code))
        gate.hold("kopf")
        reader.start()
        assert 200 == writing.get(CONFIG_MAPS).status_code
        assert [] == answers
        gate.release()
        reader.join()

    assert [200] == answers


@pytest.mark.control_plane
def test_with_too_few_writes_nobody_is_killed(plane: ControlPlane, gate: ApiGate) -> None:
    kills: list[None] = []
    with client(gate) as operator:
        gate.kill_at(2, "before", lambda: kills.append(None))
        operator.post(CONFIG_MAPS, json=config_map("alone"))

    assert ([], False) == (kills, gate.killed)


@pytest.mark.control_plane
def test_an_api_server_that_went_away_looks_so_through_the_gate(tmp_path: Path, plane: ControlPlane) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    server.server_close()
    kubeconfig = tmp_path / "kubeconfig"
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = address
    kubeconfig.write_text(yaml.safe_dump(config))
    with ApiGate(kubeconfig) as gate, client(gate) as operator, pytest.raises(httpx.TransportError):
        operator.get(CONFIG_MAPS)


@pytest.mark.parametrize(
    ("method", "path", "body", "write"),
    [
        ("POST", "/api/v1/namespaces/n/events", {"metadata": {"generateName": "e."}}, ("POST", "events", "e.", "")),
        (
            "PATCH",
            "/apis/rerank-operator.io/v1alpha1/namespaces/n/rerankservices/bge/status",
            {},
            ("PATCH", "rerankservices", "bge", "status"),
        ),
        ("DELETE", "/apis/apps/v1/namespaces/n/deployments/bge-1", None, ("DELETE", "deployments", "bge-1", "")),
        ("DELETE", "/api/v1/namespaces/n", None, ("DELETE", "namespaces", "n", "")),
        ("PUT", "/api/v1/nodes/one/status", {}, ("PUT", "nodes", "one", "status")),
    ],
)
def test_a_write_is_known_by_its_request(method: str, path: str, body: Any, write: tuple[str, ...]) -> None:
    assert write == Write.of(method, path, json.dumps(body).encode() if body is not None else b"")


@pytest.mark.control_plane
def test_a_write_that_comes_during_the_kill_gets_nowhere(plane: ControlPlane, gate: ApiGate) -> None:
    """As from an operator with several workers; the gate knows the token, so this one came before the kill's end."""
    answers: list[int] = []
    with client(gate) as first, client(gate) as second:
        other = threading.Thread(
            target=lambda: answers.append(second.post(CONFIG_MAPS, json=config_map("second")).status_code)
        )
        gate.kill_at(1, "after", other.start)
        with pytest.raises(httpx.TransportError):
            first.post(CONFIG_MAPS, json=config_map("first"))
        wait_until_killed(gate)
        other.join()

    assert [401] == answers
    assert (True, False) == (exists(plane, "first"), exists(plane, "second"))
