"""What spec.podTemplate must not change, what it may, and that a refusal never meets a pod that exists."""

from typing import Any

import pytest

from rerank_operator.api.reasons import Reason
from rerank_operator.catalog.models import lookup
from rerank_operator.resources.acceptance import refusal_of
from rerank_operator.resources.pod import build_pod_template
from rerank_operator.resources.pod_template import template_refusals
from tests.builders import a_reranker
from tests.contract.samples import SAMPLES, read

Object = dict[str, Any]
FILES = "/opt/rerank-operator"


def refusals(metadata: Any = None, engine: Object | None = None, **pod: Any) -> list[str]:
    template = {"spec": pod} if metadata is None else {"spec": pod, "metadata": metadata}
    return template_refusals(a_reranker(podTemplate=template, engine=engine or {}).spec)


def of_the_engine(**fields: Any) -> list[str]:
    return refusals(containers=[{"name": "vllm", **fields}])


def of_the_fetch(**fields: Any) -> list[str]:
    return refusals(initContainers=[{"name": "fetch-model", **fields}])


def engine(**fields: Any) -> Object:
    return {"containers": [{"name": "vllm", **fields}]}


ALLOWED: dict[str, Object] = {
    "annotations and labels": {"metadata": {"annotations": {"a": "b"}, "labels": {"team": "search"}}},
    "the token of a service account": {"serviceAccountName": "cloud", "automountServiceAccountToken": True},
    "the network of the node, which is for Pod Security": {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
    "a longer grace period": {"terminationGracePeriodSeconds": 600},
    "the only restart policy of a Deployment": {"restartPolicy": "Always"},
    "groups and another user": {"securityContext": {"supplementalGroups": [993], "runAsUser": 2000}},
    "larger shared memory": {"volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}]},
    "shared memory of one's own": engine(volumeMounts=[{"name": "dshm", "mountPath": "/dev/shm"}]),
    "a folder inside the home": engine(volumeMounts=[{"name": "x", "mountPath": "/home/vllm/.cache"}]),
    "a writable place on the volume tmp": engine(volumeMounts=[{"name": "tmp", "mountPath": "/var/cache"}]),
    "a sidecar with a command, ports and probes of its own": {
        "containers": [{"name": "proxy", "command": ["x"], "ports": [{"containerPort": 1}], "livenessProbe": {}}]
    },
    "a sidecar as Helm writes it, with empty fields": {"containers": [{"name": "proxy", "env": None, "ports": None}]},
    "a native sidecar": {"initContainers": [{"name": "proxy", "image": "y", "restartPolicy": "Always"}]},
    "an image of one's own for what fetches": {"initContainers": [{"name": "fetch-model", "image": "hub:1"}]},
    "resources of the engine": engine(resources={"limits": {"nvidia.com/gpu": "2"}}),
    "a variable": engine(env=[{"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"}]),
    "a further port": engine(ports=[{"containerPort": 9000, "name": "debug"}]),
    "a writable root": engine(securityContext={"readOnlyRootFilesystem": False}),
    "a capability, which is for Pod Security": engine(securityContext={"capabilities": {"add": ["IPC_LOCK"]}}),
}


@pytest.mark.parametrize("template", ALLOWED.values(), ids=ALLOWED)
def test_what_no_promise_depends_on_is_the_users(template: Object) -> None:
    assert [] == refusals(**template)


@pytest.mark.parametrize("template", ALLOWED.values(), ids=ALLOWED)
def test_what_is_not_refused_can_be_merged(template: Object) -> None:
    pod = {field: value for field, value in template.items() if field != "metadata"}
    spec = a_reranker(podTemplate={"metadata": template.get("metadata", {}), "spec": pod}).spec
    merged = build_pod_template("bge", "abc", spec, lookup(spec.model.name), "image:1")

    assert "vllm" == merged["spec"]["containers"][0]["name"]
    assert "abc" == merged["metadata"]["labels"]["rerank-operator.io/revision"]


def test_no_pod_template_is_refused_for_nothing() -> None:
    assert [] == template_refusals(a_reranker().spec)
    assert [] == template_refusals(a_reranker(podTemplate={}).spec)


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_no_sample_is_refused(file: Any) -> None:
    spec = read(file)["spec"]
    assert [] == template_refusals(a_reranker(**spec).spec)


def test_a_refusal_is_one_sentence_with_field_value_reason_and_remedy() -> None:
    assert [
        (
            "podTemplate.spec.terminationGracePeriodSeconds is 30: requests in flight would be lost when a pod stops; "
            "set at least 65, or remove it"
        )
    ] == refusals(terminationGracePeriodSeconds=30)


POD: dict[str, tuple[Object, str]] = {
    "no time to drain": ({"terminationGracePeriodSeconds": None}, "spec.terminationGracePeriodSeconds is null"),
    "a time that is a text": ({"terminationGracePeriodSeconds": "600"}, "terminationGracePeriodSeconds is '600'"),
    "a pod that does not come back": ({"restartPolicy": "Never"}, "spec.restartPolicy is 'Never'"),
    "a pod of root": ({"securityContext": {"runAsNonRoot": False}}, "spec.securityContext.runAsNonRoot is false"),
    "a pod that may be root": ({"securityContext": {"runAsNonRoot": None}}, "securityContext.runAsNonRoot is null"),
    "a pod of user 0": ({"securityContext": {"runAsUser": 0}}, "spec.securityContext.runAsUser is 0"),
    "no security context": ({"securityContext": None}, "spec.securityContext is null: it must be an object"),
    "finalizers": ({"metadata": {"finalizers": ["a/b"]}}, "metadata.finalizers is set"),
    "the label of the revision": (
        {"metadata": {"labels": {"rerank-operator.io/revision": "x"}}},
        "metadata.labels[rerank-operator.io/revision] is 'x'",
    ),
    "the label of who manages": (
        {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}},
        "metadata.labels[app.kubernetes.io/managed-by] is 'me'",
    ),
    "no labels": ({"metadata": {"labels": None}}, "metadata.labels is null"),
    "labels that are a list": ({"metadata": {"labels": ["a"]}}, "metadata.labels is set: it must be a map"),
    "no containers": ({"containers": None}, "spec.containers is null"),
    "no init containers": ({"initContainers": None}, "spec.initContainers is null"),
    "containers that are a map": ({"containers": {"name": "vllm"}}, "spec.containers is set: it must be a list"),
    "containers that are texts": ({"containers": ["vllm"]}, "spec.containers is set: it must be a list of objects"),
    "a container without a name": ({"containers": [{"image": "x"}]}, "a list of objects, each with its name"),
    "volumes that are texts": ({"volumes": ["x"]}, "spec.volumes is set"),
    "secrets that are texts": ({"imagePullSecrets": ["x"]}, "spec.imagePullSecrets is set"),
    **{
        f"another volume {name}": ({"volumes": [{"name": name, "emptyDir": {}}]}, f"spec.volumes[].name is '{name}'")
        for name in ("files", "run", "keys", "ca", "model")
    },
}


@pytest.mark.parametrize(("template", "said"), POD.values(), ids=POD)
def test_a_pod_keeps_what_a_promise_depends_on(template: Object, said: str) -> None:
    (refusal,) = refusals(**template)
    assert refusal.startswith("podTemplate.")
    assert said in refusal


ENGINE: dict[str, tuple[Object, str]] = {
    "command": ({"command": ["sleep"]}, "command is set: the operator writes the command line"),
    "arguments": ({"args": ["--x"]}, "args is set: the operator writes the command line"),
    "image": ({"image": "other:1"}, "image is 'other:1': "),
    "our port": ({"ports": [{"containerPort": 8000, "name": "x"}]}, "ports[8000] is set: the Service and the probes"),
    "the name of our port": ({"ports": [{"containerPort": 1, "name": "http"}]}, "ports[1] is set"),
    "startup probe": ({"startupProbe": {}}, "startupProbe is set: no pod may serve before it has ranked"),
    "no readiness probe": ({"readinessProbe": None}, "readinessProbe is null: no pod may serve that does not rank"),
    "liveness probe": ({"livenessProbe": {}}, "livenessProbe is set: an engine that only is busy must not be killed"),
    "lifecycle": ({"lifecycle": {}}, "lifecycle is set: requests in flight would be lost"),
    "a container that stays away": ({"restartPolicy": "Never"}, "restartPolicy is 'Never'"),
    "last words": ({"terminationMessagePolicy": "File"}, "terminationMessagePolicy is 'File': the operator reads"),
    "privileged": ({"securityContext": {"privileged": True}}, "securityContext.privileged is true"),
    "escalation": ({"securityContext": {"allowPrivilegeEscalation": True}}, "allowPrivilegeEscalation is true"),
    "root": ({"securityContext": {"runAsNonRoot": False}}, "runAsNonRoot is false"),
    "user 0": ({"securityContext": {"runAsUser": 0}}, "runAsUser is 0"),
    "no security context": ({"securityContext": None}, "securityContext is null"),
    "a variable of the guard": ({"env": [{"name": "RERANK_GUARD_KEYS_DIR"}]}, "env[].name is 'RERANK_GUARD_KEYS_DIR'"),
    "where Python finds the guard": ({"env": [{"name": "PYTHONPATH"}]}, "env[].name is 'PYTHONPATH'"),
    "no variables": ({"env": None}, "env is null: it must be a list of objects, each with its name"),
    "claims that are texts": ({"resources": {"claims": ["gpu"]}}, "resources.claims is set"),
    "resources that are a text": ({"resources": "all"}, "resources is 'all': it must be an object"),
    "a mount that is elsewhere": (
        {"volumeMounts": [{"name": "model", "mountPath": "/elsewhere"}]},
        "volumeMounts[].name is 'model'",
    ),
    "a mount over the model": (
        {"volumeMounts": [{"name": "x", "mountPath": "/models"}]},
        "volumeMounts[].mountPath is '/models'",
    ),
    "a mount over one file of ours": (
        {"volumeMounts": [{"name": "x", "mountPath": f"{FILES}/rerank_guard.py", "subPath": "y"}]},
        f"volumeMounts[].mountPath is '{FILES}/rerank_guard.py'",
    ),
    "a mount over the keys, spelled otherwise": (
        {"volumeMounts": [{"name": "x", "mountPath": "//etc/x/../rerank-operator/keys/"}]},
        "volumeMounts[].mountPath is '//etc/x/../rerank-operator/keys/'",
    ),
}


@pytest.mark.parametrize(("container", "said"), ENGINE.values(), ids=ENGINE)
def test_the_engines_container_keeps_what_a_promise_depends_on(container: Object, said: str) -> None:
    (refusal,) = of_the_engine(**container)
    assert refusal.startswith("podTemplate.spec.containers[vllm].")
    assert said in refusal


def test_what_fetches_and_what_checks_the_model_stay_as_they_are() -> None:
    for step in ("fetch-model", "check-model"):
        (refusal,) = refusals(initContainers=[{"name": step, "command": ["true"]}])
        assert f"podTemplate.spec.initContainers[{step}].command is set" in refusal
    (refusal,) = of_the_fetch(restartPolicy="Always")
    assert "the engine must not start before the model is complete" in refusal
    (refusal,) = of_the_fetch(securityContext={"runAsUser": 0})
    assert "podTemplate.spec.initContainers[fetch-model].securityContext.runAsUser is 0" in refusal


def test_without_the_guard_the_path_of_python_is_the_users() -> None:
    container = {"name": "vllm", "env": [{"name": "PYTHONPATH", "value": "/plugins"}]}
    assert [] == refusals(engine={"guard": "Disabled"}, containers=[container])


def test_every_refusal_is_told_at_once_as_one_reason() -> None:
    template = {"metadata": {"finalizers": []}, "spec": {"restartPolicy": "Never", **engine(lifecycle={}, image="x")}}
    spec = a_reranker(podTemplate=template).spec

    assert 4 == len(template_refusals(spec))
    assert (Reason.INVALID_SPEC, ". ".join(template_refusals(spec))) == refusal_of(spec, "vllm/vllm-openai:v0.32.0")


def test_the_value_of_a_variable_is_never_told() -> None:
    told = of_the_engine(env=[{"name": "RERANK_GUARD_X", "value": "hidden"}], command=["--password", "hidden"])

    assert 2 == len(told)
    assert "hidden" not in "".join(told)
