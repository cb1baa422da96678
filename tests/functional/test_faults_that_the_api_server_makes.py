"""Faults that a real API server, scheduler or controller manager makes: refused pods, pods without a node, no room.

Each is named in the words of whoever refuses, and is over when its cause is gone.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.cluster.control_plane import CONTROLLERS, ControlPlane
from tests.cluster.errors import KubectlError
from tests.contract.generate import CRD_FILE
from tests.doubles.pod_status import (
    NO_CLAIM,
    NO_CPU_ANYWHERE,
    NO_DEVICE,
    NO_DEVICE_CLASS,
    NO_GPU_ANYWHERE,
    NO_NODE_MATCHES,
    TAINTED,
)
from tests.functional.world import Object, World, a_reranker, running_world
from tests.produces import produces

NODE = "only"
CPU = {"type": "CPU"}
HELD_BY = "example.com/hold"
ENFORCED_SECONDS = 30


@produces(Reason.POD_SECURITY_FORBIDDEN, by="API server")
def test_a_pod_that_pod_security_refuses_is_named(world: World) -> None:
    world.control_plane.kubectl("label", "namespace", world.namespace, "pod-security.kubernetes.io/enforce=restricted")
    world.reranker(podTemplate={"spec": {"hostNetwork": True}})

    assert "hostNetwork" in told(world, Reason.POD_SECURITY_FORBIDDEN)

    world.reranker(podTemplate=None)
    world.wait_for_reason("Ready")


@produces(Reason.QUOTA_EXCEEDED, by="API server")
def test_a_quota_that_is_used_up_is_named(world: World) -> None:
    world.kubectl("create", "quota", "none", "--hard=pods=0")
    world.reranker()

    assert "exceeded quota: none" in told(world, Reason.QUOTA_EXCEEDED)

    world.kubectl("delete", "quota", "none")
    # The controllers try again by themselves, after a pause that grows with each try.
    world.wait_for_reason("Ready", seconds=60)


@pytest.fixture
def policy(world: World) -> Iterator[str]:
    """An admission policy, in force in this namespace, that wants a label on every pod. Its name."""
    name = f"wants-a-team-{world.namespace}"
    match = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
    }
    rule = {
        "expression": "has(object.metadata.labels) && 'team' in object.metadata.labels",
        "message": "every pod names its team",
    }
    group = {"apiVersion": "admissionregistration.k8s.io/v1"}
    world.apply(
        {
            **group,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {"matchConstraints": match, "validations": [rule]},
        }
    )
    world.apply(
        {
            **group,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }
    )
    world.wait_until(lambda: refuses_a_pod(world), ENFORCED_SECONDS)
    yield name
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        world.kubectl("delete", kind, name)


def refuses_a_pod(world: World) -> bool:
    """Whether the API server would refuse some pod; a policy is in force some time after it was created."""
    try:
        world.kubectl("run", "probe", "--image=localhost/none", "--dry-run=server")
    except KubectlError:
        return True
    return False


@produces(Reason.POD_REJECTED, by="API server")
def test_a_pod_that_an_admission_policy_refuses_is_told_in_the_words_of_the_policy(world: World, policy: str) -> None:
    world.reranker()

    message = told(world, Reason.POD_REJECTED)
    assert policy in message
    assert "every pod names its team" in message

    world.reranker(podTemplate={"metadata": {"labels": {"team": "search"}}})
    world.wait_for_reason("Ready")


@produces(Reason.INVALID_SPEC, by="API server")
def test_a_pod_template_that_kubernetes_refuses_is_told_in_its_own_words(world: World) -> None:
    world.reranker(podTemplate={"spec": {"volumes": [{"name": "x", "emptyDir": {"sizeLimit": "lots"}}]}})

    assert "quantities" in told(world, Reason.INVALID_SPEC)

    world.reranker(podTemplate=None)
    world.wait_for_reason("Ready")


@produces(Reason.NAMESPACE_TERMINATING, by="API server")
def test_a_namespace_that_is_being_deleted_is_named_while_something_holds_it(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    # Kubernetes deletes pods before anything else, and waits for the last of them.
    world.apply(a_pod_that_holds_the_namespace())
    world.control_plane.kubectl("delete", "namespace", world.namespace, "--wait=false")
    world.kubectl("delete", "service", "bge", "--wait=false")

    assert "is being terminated" in told(world, Reason.NAMESPACE_TERMINATING)

    world.kubectl("patch", "pod", "holder", "--type=merge", '--patch={"metadata":{"finalizers":null}}')
    world.wait_until(lambda: not namespace_exists(world), seconds=60)
    world.control_plane.kubectl("create", "namespace", world.namespace)
    world.reranker()
    world.wait_for_reason("Ready")


def a_pod_that_holds_the_namespace() -> Object:
    """A pod of somebody else that stays until its finalizer is taken away."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "holder", "finalizers": [HELD_BY]},
        "spec": {"containers": [{"name": "main", "image": "localhost/none"}]},
    }


def namespace_exists(world: World) -> bool:
    return bool(world.control_plane.kubectl("get", "namespace", world.namespace, "--ignore-not-found", "--output=name"))


@pytest.fixture(scope="module")
def scheduled_plane() -> Iterator[ControlPlane]:
    """A control plane with a scheduler, and with the controller that binds volume claims."""
    with ControlPlane(
        manifests=[CRD_FILE], scheduler=True, controllers=[*CONTROLLERS, "persistentvolume-binder-controller"]
    ) as running:
        yield running


@pytest.fixture
def one_node(scheduled_plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """A world with one node, which a puppet plays; without a GPU, taints or labels of its own."""
    with running_world(scheduled_plane, tmp_path, nodes={NODE: {}}) as world:
        yield world
        world.kubectl("delete", "rrs", "--all")
        world.wait_until(lambda: not world.objects("pods"))
        scheduled_plane.kubectl("delete", "node", NODE)


@produces(Reason.UNSCHEDULABLE, by="API server")
def test_a_node_selector_that_no_node_matches_is_named(one_node: World) -> None:
    one_node.reranker(accelerator=CPU, scheduling={"nodeSelector": {"disk": "fast"}})

    message = told(one_node, Reason.UNSCHEDULABLE)
    assert NO_NODE_MATCHES in message
    assert "spec.scheduling.nodeSelector" in message

    one_node.kubectl("label", "node", NODE, "disk=fast")
    one_node.wait_for_reason("Ready")


@produces(Reason.UNSCHEDULABLE, by="API server")
def test_a_taint_that_is_not_tolerated_is_named(one_node: World) -> None:
    one_node.kubectl("taint", "node", NODE, "reserved=yes:NoSchedule")
    one_node.reranker(accelerator=CPU)

    message = told(one_node, Reason.UNSCHEDULABLE)
    assert TAINTED in message
    assert "spec.scheduling.tolerations" in message

    one_node.reranker(accelerator=CPU, scheduling={"tolerations": [{"key": "reserved", "operator": "Exists"}]})
    one_node.wait_for_reason("Ready")


@produces(Reason.UNSCHEDULABLE, by="API server")
def test_a_node_that_is_too_small_is_named_with_what_it_lacks(one_node: World) -> None:
    one_node.reranker(accelerator=CPU, resources={"requests": {"cpu": "200"}})

    message = told(one_node, Reason.UNSCHEDULABLE)
    assert NO_CPU_ANYWHERE in message
    assert "enough cpu" in message

    one_node.reranker(accelerator=CPU, resources={"requests": {"cpu": "2"}})
    one_node.wait_for_reason("Ready")


@produces(Reason.ACCELERATOR_MISSING, by="API server")
def test_a_cluster_without_a_gpu_is_named_and_a_device_plugin_cures_it(one_node: World) -> None:
    one_node.reranker()

    assert NO_GPU_ANYWHERE in told(one_node, Reason.ACCELERATOR_MISSING)

    one_gpu = {"nvidia.com/gpu": "1"}
    patch = json.dumps({"status": {"capacity": one_gpu, "allocatable": one_gpu}})
    one_node.kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", f"--patch={patch}")
    one_node.wait_for_reason("Ready")


@pytest.fixture
def device_class(one_node: World) -> Iterator[None]:
    """A class of devices, and the node's one device of it. Nothing here frees those of claims of another test."""
    group = {"apiVersion": "resource.k8s.io/v1"}
    name = {"metadata": {"name": "gpu.example.com"}}
    of_driver = {"cel": {"expression": "device.driver == 'gpu.example.com'"}}
    pool = {"name": one_node.namespace, "generation": 1, "resourceSliceCount": 1}
    devices = {"driver": "gpu.example.com", "nodeName": NODE, "pool": pool, "devices": [{"name": "gpu-0"}]}
    one_node.apply({**group, "kind": "DeviceClass", **name, "spec": {"selectors": [of_driver]}})
    one_node.apply({**group, "kind": "ResourceSlice", **name, "spec": devices})
    yield
    one_node.kubectl("delete", "deviceclass,resourceslice", "gpu.example.com", "--ignore-not-found")


def claim_a_device(world: World, name: str) -> None:
    request = {"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}
    metadata = {"metadata": {"name": name}}
    spec = {"spec": {"devices": {"requests": [request]}}}
    world.apply({"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", **metadata, **spec})


@produces(Reason.ACCELERATOR_MISSING, by="API server")
def test_a_claim_without_a_class_is_named_and_one_with_a_device_serves(
    one_node: World, request: pytest.FixtureRequest
) -> None:
    claim_a_device(one_node, "one")
    one_node.reranker(accelerator={"claims": [{"name": "gpu", "resourceClaimName": "one"}]})
    assert NO_DEVICE_CLASS in told(one_node, Reason.ACCELERATOR_MISSING)

    request.getfixturevalue("device_class")
    one_node.wait_for_reason("Ready", seconds=60)


@produces(Reason.ACCELERATOR_MISSING, by="API server")
def test_a_claim_that_is_missing_and_one_without_a_free_device_are_named(one_node: World, device_class: None) -> None:
    claim_a_device(one_node, "held")
    one_node.reranker(accelerator={"claims": [{"name": "gpu", "resourceClaimName": "held"}]})
    one_node.wait_for_reason("Ready")

    one_node.reranker("second", accelerator={"claims": [{"name": "gpu", "resourceClaimName": "late"}]})
    missing = one_node.wait_for_reason(Reason.ACCELERATOR_MISSING.value, "second", seconds=40)
    assert "the ResourceClaim or the template is missing" in missing["message"]

    claim_a_device(one_node, "late")
    one_node.wait_until(lambda: NO_DEVICE in one_node.conditions("second")["Ready"]["message"])


@produces(Reason.VOLUME_UNBOUND, by="API server")
def test_a_volume_claim_that_is_missing_or_not_bound_is_named(one_node: World) -> None:
    reranker = a_reranker("bge", "model-a", accelerator=CPU)
    reranker["spec"]["model"]["source"] = {"volume": {"claimName": "models"}}
    one_node.apply(reranker)
    assert NO_CLAIM in told(one_node, Reason.VOLUME_UNBOUND)

    claim = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    meta = {"metadata": {"name": "models"}}
    one_node.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **meta, "spec": claim})
    one_node.wait_until(lambda: "unbound" in told(one_node, Reason.VOLUME_UNBOUND))

    volume = {
        "accessModes": ["ReadOnlyMany"],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": "/models"},
        "claimRef": {"namespace": one_node.namespace, "name": "models"},
    }
    one_node.apply({"apiVersion": "v1", "kind": "PersistentVolume", **meta, "spec": volume})
    try:
        one_node.wait_for_reason("Ready", seconds=60)
    finally:
        one_node.kubectl("delete", "persistentvolume", "models", "--wait=false")


def told(world: World, reason: Reason) -> str:
    """The message of Ready, once it has this reason; it ends with the remedy."""
    ready = world.wait_for_reason(reason.value)
    assert "False" == ready["status"]
    assert ready["message"].endswith(MEANINGS[reason].remedy)
    return str(ready["message"])
