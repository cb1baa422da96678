"""A roll-out ends in the same state wherever the operator is killed on its way, and nothing breaks meanwhile.

The operator's writes pass a gate that kills it (SIGKILL) right before or right after one of them; it is started
again, and what it leaves is compared with what a run without a kill leaves. Every write of that run has its turn, and
so every gap between two writes. Writes are known by their kind and how many of the kind came before: a status more
or less, which depends on chance, moves no other write.

A scenario with another strategy or another change is one more entry in `SCENARIOS`.
"""

import dataclasses
import difflib
import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml

from rerank_operator.api import names
from rerank_operator.milvus.config_map import config_hash
from tests.cluster.control_plane import ControlPlane
from tests.contract.generate import CRD_FILE
from tests.doubles.api_gate import ApiGate, When, Write
from tests.doubles.pod_status import Behaviour, Pod, Status, running
from tests.functional.watching import (
    Invariant,
    Rollout,
    Watcher,
    moves_once,
    never_published_before_routed,
    never_serves_two_revisions,
    never_without_endpoints,
    never_without_params,
)
from tests.functional.world import Object, World, running_world

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(600)]

#: One more than a history keeps beside the active revision: the next one is always made anew, as a first one is.
MODELS: Final = ("checkpoint-0", "checkpoint-1", "checkpoint-2", "checkpoint-3")
ALWAYS: Final[tuple[Invariant, ...]] = (
    moves_once,
    never_serves_two_revisions,
    never_without_params,
    never_published_before_routed,
)
READY_SECONDS: Final = 30.0
SAME_SECONDS: Final = 10.0
# The operator answers an event within a tenth of that; an engine double answers within a hundredth.
QUIET_SECONDS: Final = 0.6
# An endpoint slice takes no address of loopback, where the engines of the tests are. So a pod has two addresses:
# the operator asks the first one, and Services, which are of the other family, list the second one. It also takes
# no pod without a node, so each campaign has a node of its own.
SECOND_ADDRESS: Final = "2001:db8::1"
IPV6_SERVICES: Final = ("--service-cluster-ip-range=fd00::/112", "--advertise-address=2001:db8::2")
SIDE_BY_SIDE: Final = 4
LONGEST_TEXT: Final = 200
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A change to try again and again; the number of a try is 0 for the first, which nobody disturbs.

    `reranker` and `change` give the name and the final spec of a try, as arguments of `World.reranker`. The changes
    of the `prepared` tries before the first one become Ready one after the other. `writes` are those that a kill
    must have hit. All pods of a campaign share `gpus`.
    """

    title: str
    reranker: Callable[[int], str]
    change: Callable[[int], Mapping[str, Any]]
    writes: frozenset[str]
    invariants: tuple[Invariant, ...]
    prepared: int = 0
    gpus: int = 100

    def __str__(self) -> str:
        return self.title


SWITCHING: Final = frozenset(
    {
        "POST deployments",
        "PATCH rerankservices/status",
        "PUT services",
        "PUT configmaps",
        "POST events",
        "DELETE deployments",
    }
)
FIRST_ONE: Final = Scenario(
    title="a first revision",
    reranker=lambda number: f"first-{number:02}",
    change=lambda number: {"model": MODELS[number % 4]},
    writes=frozenset(
        {
            "POST controllerrevisions",
            "POST configmaps",
            "POST deployments",
            "POST services",
            "POST events",
            "PATCH rerankservices/status",
        }
    ),
    invariants=(*ALWAYS, never_without_endpoints),
)
BESIDE_THE_OLD_ONE: Final = Scenario(
    title="a new model beside the old one",
    reranker=lambda _: "bge",
    prepared=3,
    change=lambda number: {"model": MODELS[number % 4]},
    writes=SWITCHING
    | {"POST controllerrevisions", "POST configmaps", "DELETE controllerrevisions", "DELETE configmaps"},
    invariants=(*ALWAYS, never_without_endpoints),
)
BACK: Final = Scenario(
    title="back to the former model",
    reranker=lambda _: "bge",
    prepared=2,
    change=lambda number: {"model": MODELS[number % 2]},
    writes=SWITCHING,
    invariants=(*ALWAYS, never_without_endpoints),
)
IN_ITS_PLACE: Final = Scenario(
    title="a new model in the place of the old one",
    reranker=lambda _: "bge",
    prepared=3,
    gpus=1,
    change=lambda number: {"model": MODELS[number % 4], "rollout": {"strategy": "Recreate"}},
    writes=BESIDE_THE_OLD_ONE.writes | {"PUT deployments"},
    invariants=ALWAYS,
)
SCENARIOS: Final = (BESIDE_THE_OLD_ONE, IN_ITS_PLACE, BACK, FIRST_ONE)
WHENS: Final[tuple[When, ...]] = ("before", "after")


class Target(NamedTuple):
    """A write to kill at: the `occurrence`-th one of its kind."""

    kind: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.kind}, number {self.occurrence}"


@dataclasses.dataclass(frozen=True)
class Try:
    """One run of a scenario: where the operator was to be killed, what it wrote, how it ended, what broke meanwhile."""

    target: Target | None
    killed_at: Write | None
    writes: tuple[Write, ...]
    state: str
    broken: tuple[str, ...]

    @property
    def targets(self) -> list[Target]:
        """Every write of this run."""
        kinds = [write.kind for write in self.writes]
        return [Target(kind, kinds[: index + 1].count(kind)) for index, kind in enumerate(kinds)]

    def faults(self, expected: str) -> list[str]:
        """What differs from a run without a kill, and what must never happen."""
        found = list(self.broken)
        if self.state != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), self.state.splitlines(), "without a kill", "with it", lineterm=""
            )
            found.append("\n".join(lines))
        writes = "\n".join(map(str, self.writes))
        return [f"killed at {self.target} ({self.killed_at}): {fault}\nall writes:\n{writes}" for fault in found]


@dataclasses.dataclass(frozen=True)
class Campaign:
    """All tries of one scenario with the kill on one side of the writes, in one world."""

    scenario: Scenario
    when: When
    world: World
    gate: ApiGate
    watcher: Watcher
    node: str

    def run(self) -> list[Try]:
        """Try without a kill, then with one at each write of the first try."""
        for number in range(-self.scenario.prepared, 0):
            self._change(number)
            assert until(lambda: self._is_settled(number), READY_SECONDS), self._told()  # noqa: B023 - called at once
        undisturbed = self._try(0, None, None)
        targets = enumerate(undisturbed.targets, start=1)
        return [undisturbed, *(self._try(number, target, undisturbed.state) for number, target in targets)]

    def _try(self, number: int, target: Target | None, expected: str | None) -> Try:
        name = self.scenario.reranker(number)
        since, written = self.watcher.mark(), len(self.gate.writes)
        before = self.watcher.history(name, since)[0].routed
        killed_at = self._change_and_kill(number, target)
        if killed_at:
            self.world.operator.start()
        assert until(lambda: self._is_settled(number), READY_SECONDS), f"{target} ({killed_at}): {self._told()}"
        until(lambda: expected in (None, self._state(number)), SAME_SECONDS)
        rollout = Rollout(self.watcher.history(name, since), before, self._revision(number))
        broken = tuple(fault for invariant in self.scenario.invariants if (fault := invariant(rollout)))
        done = Try(target, killed_at, tuple(self.gate.writes[written:]), self._state(number), broken)
        if self.scenario.reranker(number + 1) != name:
            self.world.kubectl("delete", "rerankservice", name, "--wait=false")
        return done

    def _change_and_kill(self, number: int, target: Target | None) -> Write | None:
        """Make the change and return when the operator is dead, or has done everything without such a write."""
        if target is None:
            self._change(number)
            return None
        self.gate.kill_at(target.occurrence, self.when, self.world.operator.kill, target.kind)
        self._change(number)
        until(lambda: self.gate.killed or self._is_settled(number), READY_SECONDS)
        self.gate.call_off()
        return self.gate.killed_at

    def _change(self, number: int) -> None:
        here = {"nodeSelector": {"kubernetes.io/hostname": self.node}}
        self.world.reranker(self.scenario.reranker(number), **self.scenario.change(number), scheduling=here)

    def _is_settled(self, number: int) -> bool:
        """Whether the spec of a try is Ready and the operator has stopped writing."""
        resource = self.watcher.object(names.KIND, self.scenario.reranker(number))
        spec = self.scenario.change(number)
        if resource is None or resource["spec"]["model"]["name"] != spec["model"]:
            return False
        ready: Object = next((c for c in resource.get("status", {}).get("conditions", []) if c["type"] == "Ready"), {})
        is_new = ready.get("observedGeneration") == resource["metadata"]["generation"]
        if not is_new or ready["status"] != "True" or self.gate.quiet_seconds <= QUIET_SECONDS:
            return False
        # What was switched away from goes in a round of its own, for which a busy machine may take its time.
        objects = self.watcher.objects(self.scenario.reranker(number))
        return len([obj for obj in objects if obj["kind"] == "Deployment"]) == 1

    def _revision(self, number: int) -> str:
        """The revision of a try's spec, which the operator must have stored."""
        objects = self.watcher.objects(self.scenario.reranker(number))
        return revisions_by_model(objects).get(self.scenario.change(number)["model"], "(not stored)")

    def _state(self, number: int) -> str:
        name = self.scenario.reranker(number)
        objects = self.watcher.objects(name)
        # Models are called by their age: 0 is the one of this try.
        ages = reversed(range(len(MODELS)))
        models = {self.scenario.change(number - age)["model"]: f"model-of-age-{age}" for age in ages}
        revisions = {r: f"revision-of-{models[model]}" for model, r in revisions_by_model(objects).items()}
        fixed = {self.world.namespace: "namespace", self.node: "node", name: "reranker"}
        return state_of(objects, {**models, **revisions, **fixed})

    def _told(self) -> str:
        status = self.world.kubectl("get", "rerankservices", "--output=jsonpath={.items[*].status}")
        return f"not Ready again: {status}\n{self.world.operator.log_text[-3000:]}"


def reached_by_services() -> Behaviour:
    def status(pod: Pod, ip: str, now: str) -> Status:
        return {**running(pod, ip, now, ready=True), "podIPs": [{"ip": ip}, {"ip": SECOND_ADDRESS}]}

    return Behaviour(after=0.2, status=status, ready=True)


def run_campaign(scenario: Scenario, when: When, control_plane: ControlPlane, folder: Path) -> list[Try]:
    node = f"node-{uuid.uuid4().hex[:8]}"
    nodes = {node: {"nvidia.com/gpu": str(scenario.gpus)}}
    with (
        ApiGate(control_plane.kubeconfig) as gate,
        running_world(control_plane, folder, operator_kubeconfig=gate.kubeconfig, nodes=nodes) as world,
        Watcher(control_plane.kubeconfig, world.namespace) as watcher,
    ):
        for model in MODELS:
            world.misbehave(model, reached_by_services())
        return Campaign(scenario, when, world, gate, watcher, node).run()


@pytest.fixture(scope="module")
def routing_control_plane() -> Iterator[ControlPlane]:
    """A control plane in which Services find the pods of the tests."""
    with ControlPlane(manifests=[CRD_FILE], scheduler=True, api_server_flags=IPV6_SERVICES) as running:
        yield running


@pytest.fixture(scope="module")
def campaigns(
    routing_control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[tuple[str, When], Future[list[Try]]]]:
    """The campaigns that the selected tests ask for; they mostly wait, so several run side by side."""
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = [(p["scenario"], p["when"]) for p in parameters if isinstance(p.get("scenario"), Scenario)]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {
            (scenario.title, when): pool.submit(
                run_campaign, scenario, when, routing_control_plane, tmp_path_factory.mktemp("killed")
            )
            for scenario, when in wanted
        }


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_kill_at_any_write_changes_nothing_of_the_end(
    campaigns: dict[tuple[str, When], Future[list[Try]]], scenario: Scenario, when: When
) -> None:
    undisturbed, *tries = campaigns[scenario.title, when].result()
    hit = {one.killed_at.kind for one in tries if one.killed_at}
    faults = [fault for one in (undisturbed, *tries) for fault in one.faults(undisturbed.state)]

    assert [] == faults, "\n\n".join(faults)
    assert set() == scenario.writes - hit, "no kill at these writes"


def test_what_is_deleted_before_the_watches_begin_is_missed_by_nobody(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The operator reads everything once, acts, and watches from some moments later on."""
    with (
        ApiGate(control_plane.kubeconfig) as gate,
        running_world(control_plane, tmp_path, operator_kubeconfig=gate.kubeconfig) as world,
    ):
        world.reranker()
        world.wait_for_reason("Ready")
        world.operator.kill()
        gate.hold("kopf")
        world.operator.start()
        world.kubectl("delete", "service", "bge")
        gate.release()

        world.wait_until(lambda: world.get("service", "bge"), seconds=30)


def until(done: Callable[[], object], seconds: float) -> bool:
    """Look again and again until something holds; says whether it did in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def revisions_by_model(objects: Sequence[Object]) -> dict[str, str]:
    stored = [obj for obj in objects if obj["kind"] == "ControllerRevision"]
    return {obj["data"]["facts"]["model"]: obj["metadata"]["labels"][names.LABEL_REVISION] for obj in stored}


def state_of(objects: Sequence[Object], stand_ins: Mapping[str, str]) -> str:
    """Everything that must not depend on a kill, as YAML; names that differ from try to try get their stand-ins."""
    text = json.dumps([lasting(obj) for obj in objects])
    for right in config_hashes(objects):
        text = text.replace(right, "the right hash")
    text = TIME.sub("a time", text)
    for found, stand_in in stand_ins.items():
        text = text.replace(found, stand_in)
    told = sorted(shortened(json.loads(text)), key=lambda obj: json.dumps(obj, sort_keys=True))
    return yaml.safe_dump_all(told)


def shortened(value: Any) -> Any:
    """Whole files would make a difference unreadable, and take a second to print."""
    match value:
        case dict():
            return {key: shortened(part) for key, part in value.items()}
        case list():
            return [shortened(part) for part in value]
        case str() if len(value) > LONGEST_TEXT:
            return f"{value[:20]}… {hashlib.sha256(value.encode()).hexdigest()}"
        case _:
            return value


def lasting(obj: Object) -> Object:
    """An object without times, uids, versions and names that the API server made up."""
    match obj["kind"]:
        case "EndpointSlice":
            endpoints = [endpoint["conditions"] for endpoint in obj.get("endpoints") or []]
            return {"kind": obj["kind"], "endpoints": endpoints, "ports": obj["ports"]}
        case "Pod":
            conditions = {c["type"]: c["status"] for c in obj["status"].get("conditions", [])}
            revision = obj["metadata"]["labels"][names.LABEL_REVISION]
            return {"kind": obj["kind"], "revision": revision, "status": conditions}
    metadata = {k: v for k, v in obj["metadata"].items() if k in ("name", "labels", "annotations", "finalizers")}
    metadata["owners"] = [f"{o['kind']} {o['name']}" for o in obj["metadata"].get("ownerReferences", [])]
    metadata["is-going"] = "deletionTimestamp" in obj["metadata"]
    return {"kind": obj["kind"], "metadata": metadata, **lasting_content(obj)}


def lasting_content(obj: Object) -> Object:
    match obj["kind"]:
        case "RerankService":
            return {"spec": obj["spec"], "status": lasting_status(obj["status"], obj["metadata"]["generation"])}
        case "ControllerRevision":
            return {"data": obj["data"]}
        case "Deployment":
            status = {k: v for k, v in obj["status"].items() if k not in ("conditions", "observedGeneration")}
            return {"spec": obj["spec"], "status": status}
        case "Service":
            return {"spec": {k: v for k, v in obj["spec"].items() if k not in ("clusterIP", "clusterIPs")}}
        case _:
            return {k: v for k, v in obj.items() if k not in ("apiVersion", "metadata", "status")}


def lasting_status(status: Object, generation: int) -> Object:
    """A reranker's status that says of each generation only whether it is the present one, and of pods the verdicts."""
    conditions = [{**c, "observedGeneration": c["observedGeneration"] == generation} for c in status["conditions"]]
    verification = dict(status.get("verification", {}))
    verification["pods"] = [pod["reason"] for pod in verification.get("pods", [])]
    same = {"conditions": conditions, "verification": verification}
    return {**status, "observedGeneration": status["observedGeneration"] == generation, **same}


def config_hashes(objects: Sequence[Object]) -> list[str]:
    """The hashes that the ConfigMaps should carry; they depend on the model's name and so differ from try to try."""
    return [config_hash(obj["data"]) for obj in objects if obj["kind"] == "ConfigMap"]
