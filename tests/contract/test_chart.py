import re
from typing import Any

import kubernetes_validate
import pytest
import yaml

import rerank_operator
from rerank_operator.api.v1alpha1 import RerankService
from rerank_operator.settings import PREFIX, Settings
from tests.contract.chart import CHART, NAMESPACE, RELEASE, ChartError, Object, helm, of_kind, only, render

OLDEST, NEWEST = "1.33.0", kubernetes_validate.latest_version()
DIGEST = "sha256:" + "a" * 64
_NODE_RULE = (
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]"
)
VARIANTS = {
    "default values": [],
    "two namespaces": ["watchNamespaces={search,staging}"],
    "digest": [f"image.digest={DIGEST}"],
    "monitored": ["serviceMonitor.enabled=true", "serviceMonitor.labels.release=prometheus"],
    "everything set": [
        "imagePullSecrets[0].name=registry",
        "priorityClassName=system-cluster-critical",
        "nodeSelector.kubernetes\\.io/arch=amd64",
        "tolerations[0].operator=Exists",
        f"{_NODE_RULE}.key=gpu",
        f"{_NODE_RULE}.operator=DoesNotExist",
        "podAnnotations.team=search",
        "podLabels.team=search",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy.example.com:3128",
        "serviceAccount.annotations.team=search",
    ],
}
every_variant = pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS.keys())


def operator_pod(*settings: str) -> dict[str, Any]:
    pod: dict[str, Any] = only(render(*settings), "Deployment")["spec"]["template"]
    return pod


def operator_container(*settings: str) -> dict[str, Any]:
    (container,) = operator_pod(*settings)["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@every_variant
def test_every_object_is_valid_in_an_old_and_in_the_newest_kubernetes(settings: list[str], version: str) -> None:
    for rendered in render(*settings):
        if rendered["kind"] != "ServiceMonitor":  # its schema belongs to the Prometheus Operator
            kubernetes_validate.validate(rendered, version, strict=True)


@every_variant
def test_every_object_says_which_release_it_belongs_to(settings: list[str]) -> None:
    for rendered in render(*settings):
        if rendered["kind"] != "CustomResourceDefinition":
            labels = rendered["metadata"]["labels"]
            assert RELEASE == labels["app.kubernetes.io/instance"]
            assert rerank_operator.__version__ == labels["app.kubernetes.io/version"]


def test_chart_operator_and_package_carry_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert rerank_operator.__version__ == chart["appVersion"] == chart["version"]


def test_helm_finds_nothing_to_complain_about() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_the_example_in_the_charts_metadata_is_a_reranker() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    for example in yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"]):
        RerankService.model_validate(example)


@every_variant
def test_the_operator_meets_the_restricted_pod_security_level(settings: list[str]) -> None:
    assert [] == restricted_violations(operator_pod(*settings)["spec"])


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"securityContext": {}}, "runAsNonRoot"),
        ({"hostNetwork": True}, "hostNetwork"),
        ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "volume root"),
    ],
    ids=["root user", "host network", "host path"],
)
def test_the_restricted_level_is_checked_for_real(change: dict[str, Any], violation: str) -> None:
    assert violation in restricted_violations(operator_pod()["spec"] | change)


def restricted_violations(pod: dict[str, Any]) -> list[str]:
    """What the restricted Pod Security Standard forbids in this pod; see also the test on a real API server."""
    context = pod.get("securityContext", {})
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found = [field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)]
    found += [f"volume {v['name']}" for v in pod.get("volumes", []) if not allowed & v.keys()]
    found += ["runAsNonRoot"] if context.get("runAsNonRoot") is not True else []
    found += ["runAsUser"] if context.get("runAsUser") == 0 else []
    found += ["seccompProfile"] if context.get("seccompProfile") != {"type": "RuntimeDefault"} else []
    for container in pod["containers"]:
        own = container["securityContext"]
        found += ["allowPrivilegeEscalation"] if own.get("allowPrivilegeEscalation") is not False else []
        found += ["capabilities"] if own.get("capabilities") != {"drop": ["ALL"]} else []
        found += ["privileged"] if own.get("privileged") else []
    return found


def test_the_root_file_system_of_the_operator_is_read_only() -> None:
    assert operator_container()["securityContext"]["readOnlyRootFilesystem"] is True


def test_there_is_one_operator_and_never_a_second_beside_it() -> None:
    spec = only(render(), "Deployment")["spec"]
    assert (1, "Recreate") == (spec["replicas"], spec["strategy"]["type"])


def test_the_chart_sets_every_setting_of_the_operator_to_its_own_default() -> None:
    given = {variable["name"]: variable["value"] for variable in operator_container()["env"]}
    assert {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} == given.keys()
    assert Settings() == Settings.from_env(given)


def test_namespaces_reach_the_operator_as_it_reads_them() -> None:
    given = {v["name"]: v["value"] for v in operator_container("watchNamespaces={search,staging}")["env"]}
    assert ("search", "staging") == Settings.from_env(given).namespaces


def test_allowed_hosts_reach_the_operator_as_it_reads_them() -> None:
    given = {
        v["name"]: v["value"]
        for v in operator_container("allowedHosts={*.Example.com,203.0.113.7,2001:db8::7,vllm.ml.svc}")["env"]
    }
    assert ("*.example.com", "2001:db8::7", "203.0.113.7", "vllm.ml.svc") == Settings.from_env(given).hosts


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ([], f"localhost/rerank-operator:{rerank_operator.__version__}"),
        (["image.repository=registry.example.com/team/op", "image.tag=main"], "registry.example.com/team/op:main"),
        ([f"image.digest={DIGEST}", "image.tag=main"], f"localhost/rerank-operator@{DIGEST}"),
    ],
    ids=["default", "tag", "digest wins over tag"],
)
def test_the_image_is_named_by_tag_or_by_digest(settings: list[str], image: str) -> None:
    assert image == operator_container(*settings)["image"]


def test_probes_service_and_monitor_meet_at_the_health_port() -> None:
    objects = render("serviceMonitor.enabled=true", "healthPort=9090")
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert [{"name": "health", "containerPort": 9090, "protocol": "TCP"}] == container["ports"]
    for probe in ("livenessProbe", "readinessProbe"):
        assert {"path": "/healthz", "port": "health"} == container[probe]["httpGet"]
    (port,) = only(objects, "Service")["spec"]["ports"]
    assert ("metrics", 8080, "health") == (port["name"], port["port"], port["targetPort"])
    (endpoint,) = only(objects, "ServiceMonitor")["spec"]["endpoints"]
    assert ("metrics", "/metrics") == (endpoint["port"], endpoint["path"])


def test_a_monitor_is_created_only_when_asked_for() -> None:
    assert [] == of_kind(render(), "ServiceMonitor")


def test_selectors_choose_the_pod_of_the_operator() -> None:
    objects = render("serviceMonitor.enabled=true", "podLabels.team=search")
    deployment = only(objects, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert "search" == labels["team"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()
    assert only(objects, "Service")["spec"]["selector"].items() <= labels.items()
    monitored = only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= only(objects, "Service")["metadata"]["labels"].items()


def test_the_crd_can_be_left_to_somebody_else() -> None:
    assert [] == of_kind(render("crds.install=false"), "CustomResourceDefinition")


def test_an_existing_service_account_is_used_by_its_name() -> None:
    objects = render("serviceAccount.create=false", "serviceAccount.name=mine")
    assert [] == of_kind(objects, "ServiceAccount")
    assert "mine" == only(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert "mine" == only(objects, "ClusterRoleBinding")["subjects"][0]["name"]


def test_an_existing_service_account_without_a_name_is_refused_with_the_remedy() -> None:
    with pytest.raises(ChartError, match=r"serviceAccount\.name must name an existing service account"):
        render("serviceAccount.create=false")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (["nameOverride=reranking"], "rerank-operator-reranking"),
        (["fullnameOverride=rr"], "rr"),
        ([f"fullnameOverride={'n' * 80}"], "n" * 50),
    ],
    ids=["part", "whole", "too long"],
)
def test_names_can_be_chosen_and_stay_valid(settings: list[str], name: str) -> None:
    objects = render(*settings)
    assert name == only(objects, "Deployment")["metadata"]["name"]
    assert all(len(rendered["metadata"]["name"]) <= 63 for rendered in objects)


def test_objects_of_the_release_go_into_its_namespace() -> None:
    for kind in ("Deployment", "ServiceAccount", "Service"):
        assert NAMESPACE == only(render(), kind)["metadata"]["namespace"]


@pytest.mark.parametrize(
    ("settings", "namespace"),
    [((), "default"), (("watchNamespaces={search}",), "search")],
    ids=["cluster", "namespace"],
)
def test_the_notes_hold_commands_that_lead_to_the_params(settings: tuple[str, ...], namespace: str) -> None:
    notes = notes_of(*settings)
    manifest = re.search(r"<<'EOF'\n(.*?)\nEOF", notes, re.DOTALL)
    assert manifest is not None
    reranker: Object = yaml.safe_load(manifest[1])
    RerankService.model_validate(reranker)
    commands = [line for line in notes.splitlines() if line.startswith("kubectl ")]
    assert 3 == len(commands)
    assert all(f"--namespace {namespace}" in command for command in commands)
    assert f"configmap {reranker['metadata']['name']}-milvus" in commands[2]


def test_the_notes_say_when_no_registry_serves_the_image() -> None:
    assert "load it onto the nodes, or set image.repository" in notes_of()
    assert "load it onto the nodes" not in notes_of("image.repository=registry.example.com/rerank-operator")


def notes_of(*settings: str) -> str:
    flags = [argument for setting in settings for argument in ("--set", setting)]
    printed = helm("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", *flags)
    return printed.partition("\nNOTES:\n")[2]
