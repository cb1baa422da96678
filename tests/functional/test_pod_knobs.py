"""What users say about the pod reaches it as an API server accepts it, and what breaks a promise makes nothing."""

from typing import Any

from rerank_operator.api.conditions import ConditionType
from rerank_operator.api.reasons import Reason
from tests.functional.world import World
from tests.produces import produces

Object = dict[str, Any]

PROXY = "http://proxy.example.com:3128"
ENGINE: Object = {
    "env": [{"name": "LEVEL", "valueFrom": {"secretKeyRef": {"name": "settings", "key": "level", "optional": True}}}],
    "envFrom": [{"prefix": "SITE_", "configMapRef": {"name": "site", "optional": True}}],
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "rerankers",
    "proxy": {"http": PROXY, "https": PROXY, "noProxy": ".svc,10.0.0.0/8"},
    "caBundle": {"configMapName": "company-ca"},
    "volumes": [{"name": "plugins", "emptyDir": {"sizeLimit": "1Gi"}}],
    "volumeMounts": [{"name": "plugins", "mountPath": "/plugins", "readOnly": True}],
}
SCHEDULING: Object = {
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}],
    "priorityClassName": "search",
    "runtimeClassName": "nvidia",
}
TEMPLATE: Object = {
    "metadata": {"labels": {"team": "search"}, "annotations": {"example.com/scrape": "true"}},
    "spec": {
        "automountServiceAccountToken": True,
        "terminationGracePeriodSeconds": 120,
        "containers": [
            {"name": "vllm", "env": [{"name": "FROM_TEMPLATE", "value": "1"}]},
            {"name": "sidecar", "image": "example.com/sidecar:1"},
        ],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}}],
    },
}
KNOBS: Object = {
    "engine": ENGINE,
    "scheduling": SCHEDULING,
    "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
    "podTemplate": TEMPLATE,
}


def pod_of(world: World) -> Object:
    """The pod template of the only Deployment, as the API server keeps it."""
    world.wait_until(lambda: world.objects("deployments"))
    (deployment,) = world.objects("deployments")
    template: Object = deployment["spec"]["template"]
    return template


def by_name(items: list[Object]) -> dict[str, Object]:
    return {item["name"]: item for item in items}


def variables(container: Object) -> dict[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def test_every_knob_reaches_the_pod_as_the_api_server_accepts_it(world: World) -> None:
    world.reranker(**KNOBS)

    template = pod_of(world)
    pod, containers = template["spec"], by_name(template["spec"]["containers"])
    engine, fetch = containers["vllm"], by_name(pod["initContainers"])["fetch-model"]

    assert ("search", "true") == (
        template["metadata"]["labels"]["team"],
        template["metadata"]["annotations"]["example.com/scrape"],
    )
    assert SCHEDULING == {field: pod[field] for field in SCHEDULING}
    assert ("rerankers", True, 120) == (
        pod["serviceAccountName"],
        pod["automountServiceAccountToken"],
        pod["terminationGracePeriodSeconds"],
    )
    assert [{"name": "registry"}] == pod["imagePullSecrets"]
    assert {"vllm", "sidecar"} == set(containers)
    for container in (engine, fetch):
        assert ENGINE["envFrom"] == container["envFrom"]
        assert {"HTTPS_PROXY": PROXY, "http_proxy": PROXY}.items() <= variables(container).items()
        assert "/etc/rerank-operator/ca" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"LEVEL", "FROM_TEMPLATE", "SSL_CERT_FILE"} <= set(variables(engine))
    assert {"name": "plugins", "mountPath": "/plugins", "readOnly": True} in engine["volumeMounts"]
    assert {"memory": "8Gi", "nvidia.com/gpu": "1"} == engine["resources"]["limits"]
    assert KNOBS["resources"]["requests"] == engine["resources"]["requests"]
    assert ("4Gi", "company-ca") == (
        by_name(pod["volumes"])["shm"]["emptyDir"]["sizeLimit"],
        by_name(pod["volumes"])["ca"]["configMap"]["name"],
    )


@produces(Reason.INVALID_SPEC, by="API server")
def test_a_pod_template_that_breaks_a_promise_makes_nothing_and_names_the_field(world: World) -> None:
    world.reranker(podTemplate={"spec": {"containers": [{"name": "vllm", "readinessProbe": {"tcpSocket": {}}}]}})

    world.wait_for_reason(Reason.INVALID_SPEC)
    accepted = world.conditions()[ConditionType.ACCEPTED]
    assert ("False", Reason.INVALID_SPEC) == (accepted["status"], accepted["reason"])
    assert "podTemplate.spec.containers[vllm].readinessProbe is set" in accepted["message"]
    assert [] == world.left_behind()

    world.reranker(podTemplate=None)
    world.wait_for_reason("Ready")


@produces(Reason.INVALID_SPEC, by="API server")
def test_a_pod_template_that_breaks_a_promise_leaves_what_serves_as_it_is(world: World) -> None:
    world.reranker()
    world.wait_for_reason("Ready")
    before = [(pod["metadata"]["name"], pod["metadata"]["uid"]) for pod in world.objects("pods")]

    world.reranker(podTemplate={"spec": {"restartPolicy": "Never"}})

    world.wait_until(lambda: world.conditions()[ConditionType.ACCEPTED]["status"] == "False")
    assert "podTemplate.spec.restartPolicy is 'Never'" in world.conditions()[ConditionType.ACCEPTED]["message"]
    assert before == [(pod["metadata"]["name"], pod["metadata"]["uid"]) for pod in world.objects("pods")]
    assert 1 == len(world.objects("deployments"))
