"""A small world for one test: a namespace of a real API server, a running operator, pods that a puppet plays,
and engine doubles at their addresses.

Each model name has its own address, so that two revisions with two models answer differently.
"""

import itertools
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.doubles.engine import EngineDouble
from tests.doubles.kubelet import KubeletPuppet
from tests.doubles.pod_status import Behaviour, Pod
from tests.functional.operator_process import OperatorProcess

Object = dict[str, Any]
ENGINE_PORT = 8000
_host_numbers = itertools.count()


class World:
    """What a person with kubectl sees and does, and what the engines and kubelets of the test do."""

    def __init__(self, control_plane: ControlPlane, namespace: str, operator: OperatorProcess) -> None:
        self.control_plane = control_plane
        self.namespace = namespace
        self.operator = operator
        self.engines: dict[str, EngineDouble] = {}
        self.behaviours: dict[str, Behaviour] = {}
        self.puppet: KubeletPuppet | None = None

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl in the namespace."""
        return self.control_plane.kubectl("--namespace", self.namespace, *arguments, stdin=stdin)

    def apply(self, obj: Object) -> None:
        """`kubectl apply` of one object."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(obj))

    def reranker(self, name: str = "bge", model: str | Object = "model-a", **spec: Any) -> None:
        """Apply a reranker."""
        self.apply(a_reranker(name, model, **spec))

    def get(self, kind: str, name: str) -> Object | None:
        """One object, None when it does not exist."""
        found = self.kubectl("get", kind, name, "--output=json", "--ignore-not-found")
        return json.loads(found) if found.strip() else None

    def objects(self, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind in the namespace."""
        items: list[Object] = json.loads(self.kubectl("get", kind, "-l", selector, "--output=json"))["items"]
        return items

    def conditions(self, name: str = "bge") -> dict[str, Object]:
        """Conditions of a reranker by type."""
        resource = self.get("rerankservice", name) or {}
        return {c["type"]: c for c in resource.get("status", {}).get("conditions", [])}

    def wait_for_reason(self, reason: str, name: str = "bge", seconds: float = 20.0) -> Object:
        """Wait until Ready has this reason; returns the condition."""
        self.wait_until(lambda: self.conditions(name).get("Ready", {}).get("reason") == reason, seconds)
        return self.conditions(name)["Ready"]

    def wait_until(self, done: Callable[[], object], seconds: float = 20.0) -> None:
        """Look again and again until something holds."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                seen = self.kubectl("get", "rerankservices,deployments,pods,services,configmaps", "--output=wide")
                told = self.kubectl("get", "rerankservices", "--output=jsonpath={.items[*].status}")
                raise AssertionError(f"waited {seconds:g} s in vain\n{seen}\n{told}\n{self.operator.log_text[-3000:]}")
            time.sleep(0.1)

    def engine(self, model: str) -> EngineDouble:
        """The engine that answers for the pods that serve `model`."""
        if model not in self.engines:
            engine = EngineDouble(host=_unused_host(), port=ENGINE_PORT, model=model)
            engine.start()
            self.engines[model] = engine
        return self.engines[model]

    def stop_engines(self) -> None:
        """End every engine."""
        for engine in self.engines.values():
            engine.stop()

    def misbehave(self, model: str, behaviour: Behaviour | None) -> None:
        """Decide what becomes of the pods that serve `model`, also of those that exist."""
        if behaviour is None:
            self.behaviours.pop(model, None)
        else:
            self.behaviours[model] = behaviour
        if self.puppet:
            self.puppet.refresh()

    def settle(self) -> list[tuple[str, str, str]]:
        """Kind, name and version of every object in the namespace, once they stay the same for two seconds."""
        before, since = self._versions(), time.monotonic()
        while time.monotonic() - since < 2:
            time.sleep(0.2)
            if (now := self._versions()) != before:
                before, since = now, time.monotonic()
        return before

    def left_behind(self) -> list[str]:
        """Objects of ours that still exist."""
        kinds = (
            "rerankservices,deployments,replicasets,services,configmaps,controllerrevisions,pods,"
            "poddisruptionbudgets,horizontalpodautoscalers"
        )
        found = self.kubectl("get", kinds, "-l", "app.kubernetes.io/managed-by=rerank-operator", "--output=name")
        return found.split()

    def _versions(self) -> list[tuple[str, str, str]]:
        kinds = "rerankservices,deployments,services,configmaps,controllerrevisions,pods,poddisruptionbudgets"
        items = json.loads(self.kubectl("get", kinds, "--output=json"))["items"]
        return sorted((o["kind"], o["metadata"]["name"], o["metadata"]["resourceVersion"]) for o in items)


@contextmanager
def running_world(
    control_plane: ControlPlane,
    folder: Path,
    settings: dict[str, str] | None = None,
    operator_kubeconfig: Path | None = None,
    nodes: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[World]:
    """A namespace with an operator of its own, until the end of the `with` block.

    The operator can reach the API server in another way than everyone else does: through a gate. `nodes` are played
    by the puppet and need a control plane with a scheduler.
    """
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", namespace)
    operator = OperatorProcess(
        operator_kubeconfig or control_plane.kubeconfig,
        folder / "operator.log",
        {"RERANK_OPERATOR_WATCH_NAMESPACES": namespace, **(settings or {})},
    )
    world = World(control_plane, namespace, operator)
    puppet = KubeletPuppet(
        control_plane.kubeconfig,
        "app.kubernetes.io/managed-by=rerank-operator",
        namespace=namespace,
        behaviour=lambda pod: world.behaviours.get(served_model(pod)),
        pod_ip=lambda pod: world.engine(served_model(pod)).host,
        nodes=nodes,
    )
    with ExitStack() as stack:
        stack.callback(world.stop_engines)
        stack.callback(lambda: control_plane.kubectl("delete", "namespace", namespace, "--wait=false"))
        stack.enter_context(puppet)
        world.puppet = puppet
        stack.enter_context(operator)
        yield world


def _unused_host() -> str:
    """An address of loopback; worlds of several threads, and of several test runs, may ask at once."""
    number = next(_host_numbers)
    return f"127.{1 + os.getpid() % 250}.{1 + number // 250}.{1 + number % 250}"


def a_reranker(name: str, model: str | Object, **spec: Any) -> Object:
    """The smallest resource, with these further fields of the spec."""
    return {
        "apiVersion": "rerank-operator.io/v1alpha1",
        "kind": "RerankService",
        "metadata": {"name": name},
        "spec": {
            "model": {"name": model} if isinstance(model, str) else model,
            **{field: value for field, value in spec.items() if value is not None},
        },
    }


def served_model(pod: Pod) -> str:
    """The model name that a pod's engine is told to serve."""
    command: list[str] = pod["spec"]["containers"][0]["command"]
    return command[command.index("--served-model-name") + 1]
