"""The pod of a revision."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rerank_operator.api.v1alpha1.volumes import RESERVED_PATHS, RESERVED_VOLUMES
from rerank_operator.catalog.models import lookup
from rerank_operator.resources.deployment import build_deployment, build_files_config_map
from rerank_operator.resources.pod import build_pod_template, scripts
from tests.builders import a_reranker, a_revision


def pod(**spec: Any) -> dict[str, Any]:
    reranker = a_reranker(**spec)
    return build_pod_template("bge", "abc", reranker.spec, lookup(reranker.spec.model.name), "image:1")


def container(**spec: Any) -> dict[str, Any]:
    first: dict[str, Any] = pod(**spec)["spec"]["containers"][0]
    return first


def environment(**spec: Any) -> dict[str, Any]:
    return variables_of(container(**spec))


def variables_of(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_the_model_name_alone_gives_a_complete_command() -> None:
    assert (
        "vllm serve /models/BAAI/bge-reranker-v2-m3/12e974610ba9083ed95f3edf08d7e899581f4de4 "
        "--served-model-name BAAI/bge-reranker-v2-m3 --runner pooling --port 8000 --dtype auto --max-model-len 8192 "
        "--middleware rerank_guard.Guard --gpu-memory-utilization 0.10"
    ) == " ".join(container()["command"])


def test_a_model_that_is_not_known_leaves_its_length_to_vllm() -> None:
    assert "--max-model-len" not in container(model={"name": "me/mine"})["command"]
    assert "128" in container(model={"name": "me/mine", "maxLength": 128})["command"]


def test_the_pod_meets_the_restricted_level() -> None:
    spec = pod()["spec"]
    security = spec["containers"][0]["securityContext"]

    assert (True, {"type": "RuntimeDefault"}) == (
        spec["securityContext"]["runAsNonRoot"],
        spec["securityContext"]["seccompProfile"],
    )
    assert (False, True, ["ALL"]) == (
        security["allowPrivilegeEscalation"],
        security["readOnlyRootFilesystem"],
        security["capabilities"]["drop"],
    )
    assert (False, False) == (spec["automountServiceAccountToken"], spec["enableServiceLinks"])
    assert {"configMap", "emptyDir"} == {kind for v in spec["volumes"] for kind in v if kind != "name"}


def test_shared_memory_is_sized_and_writable_places_are_mounted() -> None:
    spec = pod()["spec"]
    volumes = {v["name"]: v for v in spec["volumes"]}

    assert {"medium": "Memory", "sizeLimit": "2Gi"} == volumes["shm"]["emptyDir"]
    assert {"/tmp", "/dev/shm", "/home/vllm"} <= {m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}


def test_probes_ask_the_guard_for_a_forward_pass_and_liveness_does_not() -> None:
    probes = container()

    assert "/ready" == probes["startupProbe"]["httpGet"]["path"] == probes["readinessProbe"]["httpGet"]["path"]
    assert "/health" == probes["livenessProbe"]["httpGet"]["path"]
    assert 11 == probes["readinessProbe"]["timeoutSeconds"]


def test_pre_stop_drains_within_the_grace_period() -> None:
    template = pod()
    drain = template["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]

    assert ["drain", "--lame", "5", "--timeout", "30", "--port", "8000"] == drain[4:]
    assert 65 == template["spec"]["terminationGracePeriodSeconds"]


def test_without_the_guard_an_exec_probe_and_a_pause_take_its_place() -> None:
    probes = container(engine={"guard": "Disabled"})

    assert "rerank_probe.py" in probes["readinessProbe"]["exec"]["command"][3]
    assert ["sleep", "35"] == probes["lifecycle"]["preStop"]["exec"]["command"]
    assert "--middleware" not in probes["command"]
    assert "PYTHONPATH" not in environment(engine={"guard": "Disabled"})


def test_gpus_are_a_limit_and_shard_the_model() -> None:
    two = container(accelerator={"count": 2}, resources={"requests": {"cpu": 2}, "limits": {"memory": "8Gi"}})

    assert {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "2"}} == two["resources"]
    assert "--tensor-parallel-size 2" in " ".join(two["command"])
    assert {"limits": {"nvidia.com/gpu": "1"}} == container()["resources"]


def test_a_cpu_needs_no_gpu_and_computes_in_float32() -> None:
    cpu = container(accelerator={"type": "CPU"})

    assert {} == cpu["resources"]
    assert "--dtype float32" in " ".join(cpu["command"])
    assert "--enforce-eager" in cpu["command"]
    assert "1" == environment(accelerator={"type": "CPU"})["VLLM_CPU_KVCACHE_SPACE"]


def test_a_model_on_a_volume_is_mounted_read_only_and_nothing_is_downloaded() -> None:
    source = {"volume": {"claimName": "models", "path": "tiny"}}
    template = pod(model={"name": "tiny", "source": source})

    assert "/models/tiny" == template["spec"]["containers"][0]["command"][2]
    volume = next(v for v in template["spec"]["volumes"] if v["name"] == "model")
    assert {"claimName": "models", "readOnly": True} == volume["persistentVolumeClaim"]
    assert "1" == environment(model={"name": "tiny", "source": source})["HF_HUB_OFFLINE"]


def test_a_token_is_only_a_reference_and_only_where_the_hub_is_asked() -> None:
    source = {"huggingFace": {"tokenSecretRef": {"name": "hf"}, "endpoint": "https://hub.example.com"}}
    model = {"name": "a/b", "source": source}
    asked = {
        "HF_TOKEN": {"secretKeyRef": {"name": "hf", "key": "token"}},
        "HF_ENDPOINT": "https://hub.example.com",
    }

    assert asked.items() <= variables_of(pod(model=model)["spec"]["initContainers"][0]).items()
    assert not asked.keys() & environment(model=model).keys()
    # The code of a model may lie in another repository than its weights.
    assert asked.items() <= environment(model={**model, "trustRemoteCode": True}).items()


def test_the_users_environment_replaces_ours_and_arguments_come_last() -> None:
    given = container(engine={"env": [{"name": "DO_NOT_TRACK", "value": "0"}], "args": ["--max-num-seqs", "8"]})

    assert "0" == environment(engine={"env": [{"name": "DO_NOT_TRACK", "value": "0"}]})["DO_NOT_TRACK"]
    assert ["--max-num-seqs", "8"] == given["command"][-2:]


def test_a_pod_template_is_merged_by_name_and_cannot_take_our_labels() -> None:
    template = pod(
        podTemplate={
            "metadata": {"labels": {"team": "search", "rerank-operator.io/revision": "fake"}},
            "spec": {
                "hostIPC": True,
                "containers": [{"name": "vllm", "env": [{"name": "X", "value": "y"}]}, {"name": "sidecar"}],
                "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}],
            },
        }
    )
    containers = {c["name"]: c for c in template["spec"]["containers"]}

    assert ("search", "abc") == (
        template["metadata"]["labels"]["team"],
        template["metadata"]["labels"]["rerank-operator.io/revision"],
    )
    assert {"vllm", "sidecar"} == set(containers)
    assert "X" in {e["name"] for e in containers["vllm"]["env"]}
    assert "HOME" in {e["name"] for e in containers["vllm"]["env"]}
    assert ["8Gi"] == [v["emptyDir"]["sizeLimit"] for v in template["spec"]["volumes"] if v["name"] == "shm"]


@pytest.mark.parametrize("name", ["no", "1e3", "it's", "a: b", "{{ x }}", "é"])
def test_a_value_stays_the_text_it_is(name: str) -> None:
    assert name == environment(engine={"env": [{"name": "X", "value": name}]})["X"]


def test_scheduling_fields_go_where_a_pod_has_them() -> None:
    spec = pod(
        scheduling={"nodeSelector": {"gpu": "a10"}, "tolerations": [{"key": "gpu"}], "runtimeClassName": "nvidia"}
    )

    assert {"gpu": "a10"} == spec["spec"]["nodeSelector"]
    assert ([{"key": "gpu"}], "nvidia") == (spec["spec"]["tolerations"], spec["spec"]["runtimeClassName"])


def test_the_deployment_is_made_from_the_stored_revision_and_nothing_else() -> None:
    stored = json.loads(json.dumps(a_revision()))
    stored["data"]["template"]["spec"]["containers"][0]["image"] = "an/older:image"

    assert "an/older:image" == build_deployment(stored, 2)["spec"]["template"]["spec"]["containers"][0]["image"]
    files = {"rerank_guard.py", "rerank_probe.py", "fetch_model.py", "check_model.py", "model.json"}
    assert files == set(build_files_config_map(stored)["data"])


def guard_settings(**spec: Any) -> dict[str, Any]:
    """What the guard is told, by the end of the variable's name."""
    prefix = "RERANK_GUARD_"
    return {name.removeprefix(prefix): value for name, value in environment(**spec).items() if name.startswith(prefix)}


def test_the_guard_caps_requests_and_cuts_long_documents_by_itself() -> None:
    assert {
        "TOKEN_FILE": "/run/rerank-operator/drain-token",
        "MAX_DOCUMENTS": "4096",
        "TRUNCATE_PROMPT_TOKENS": "-1",
    } == guard_settings()
    assert "100" == guard_settings(engine={"maxDocuments": 100})["MAX_DOCUMENTS"]
    assert "true" == guard_settings(engine={"returnDocuments": False})["STRIP_DOCUMENTS"]
    assert {} == guard_settings(engine={"guard": "Disabled"})


def test_the_guard_never_cuts_the_prompt_of_a_model_with_a_template() -> None:
    assert "TRUNCATE_PROMPT_TOKENS" not in guard_settings(engine={"args": ["--chat-template", "/t.jinja"]})


def test_keys_of_callers_are_mounted_from_their_secret() -> None:
    spec = pod(access={"bearerSecretRef": {"name": "callers"}})["spec"]
    mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}

    assert {"name": "keys", "secret": {"secretName": "callers", "defaultMode": 0o440}} in spec["volumes"]
    assert mounts["keys"] == guard_settings(access={"bearerSecretRef": {"name": "callers"}})["KEYS_DIR"]


def test_pods_spread_over_nodes_and_zones_unless_the_spec_says_how() -> None:
    own = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]

    spread = pod()["spec"]["topologySpreadConstraints"]
    assert ["kubernetes.io/hostname", "topology.kubernetes.io/zone"] == [c["topologyKey"] for c in spread]
    assert {"ScheduleAnyway"} == {c["whenUnsatisfiable"] for c in spread}
    assert own == pod(scheduling={"topologySpreadConstraints": own})["spec"]["topologySpreadConstraints"]


def test_the_startup_probe_gives_a_pod_the_time_that_the_spec_says() -> None:
    probe = container(rollout={"startupTimeoutSeconds": 7200})["startupProbe"]

    assert 7200 == probe["periodSeconds"] * probe["failureThreshold"]


def test_a_deployment_has_no_deadline_of_its_own() -> None:
    assert 2**31 - 1 == build_deployment(a_revision(), 1)["spec"]["progressDeadlineSeconds"]


def test_a_guard_that_python_cannot_load_is_found_before_it_is_mounted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in scripts():
        (tmp_path / name).write_text("match 1:\n    case 1: pass\n")  # not in Python 3.9
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    scripts.cache_clear()

    with pytest.raises(SyntaxError):
        scripts()
    monkeypatch.undo()
    scripts.cache_clear()


def test_a_device_is_asked_for_by_the_name_that_its_plugin_gives_it() -> None:
    def limits(**accelerator: Any) -> dict[str, Any]:
        given: dict[str, Any] = container(accelerator=accelerator)["resources"]["limits"]
        return given

    assert {"amd.com/gpu": "1"} == limits(type="AMDGPU")
    assert {"gpu.intel.com/xe": "1"} == limits(type="IntelGPU")
    assert {"habana.ai/gaudi": "2"} == limits(type="Gaudi", count=2)
    assert {"google.com/tpu": "4"} == limits(type="TPU", count=4)
    assert {"nvidia.com/mig-1g.10gb": "1"} == limits(resourceName="nvidia.com/mig-1g.10gb")


def test_parts_of_a_time_sliced_gpu_are_one_gpu() -> None:
    shared = container(accelerator={"resourceName": "nvidia.com/gpu.shared", "count": 2})

    assert {"limits": {"nvidia.com/gpu.shared": "2"}} == shared["resources"]
    assert "--tensor-parallel-size" not in shared["command"]


def test_a_claim_brings_the_device_in_place_of_an_extended_resource() -> None:
    claims = [{"name": "gpu", "resourceClaimTemplateName": "two-gpus", "request": "big"}]
    template = pod(accelerator={"claims": claims, "count": 2})
    engine = template["spec"]["containers"][0]

    assert [{"name": "gpu", "resourceClaimTemplateName": "two-gpus"}] == template["spec"]["resourceClaims"]
    assert {"claims": [{"name": "gpu", "request": "big"}]} == engine["resources"]
    assert "--tensor-parallel-size 2" in " ".join(engine["command"])
    assert all("claims" not in step["resources"] for step in template["spec"]["initContainers"])


def test_a_claim_and_an_extended_resource_together_when_both_are_named() -> None:
    claims = [{"name": "nic", "resourceClaimName": "fast"}]
    resources = container(accelerator={"claims": claims, "resourceName": "nvidia.com/gpu"})["resources"]

    assert {"limits": {"nvidia.com/gpu": "1"}, "claims": [{"name": "nic"}]} == resources


def test_a_proxy_is_told_to_the_engine_and_to_what_fetches_the_model() -> None:
    proxy = {"https": "http://proxy:3128", "noProxy": ".svc"}
    template = pod(engine={"proxy": proxy})["spec"]

    for found in (template["containers"][0], template["initContainers"][0]):
        told = {variable["name"]: variable.get("value") for variable in found["env"]}
        assert "http://proxy:3128" == told["HTTPS_PROXY"] == told["https_proxy"]
        assert "localhost,127.0.0.1,::1,.svc" == told["NO_PROXY"] == told["no_proxy"]
        assert "HTTP_PROXY" not in told


def test_the_users_variable_wins_over_the_proxy() -> None:
    given = {"proxy": {"http": "http://a:1"}, "env": [{"name": "HTTP_PROXY", "value": "http://b:2"}]}
    assert "http://b:2" == environment(engine=given)["HTTP_PROXY"]


def test_a_private_ca_is_mounted_and_trusted_by_the_engine_and_by_what_fetches_the_model() -> None:
    template = pod(engine={"caBundle": {"configMapName": "company", "key": "all.pem"}})["spec"]
    volume = {"name": "ca", "configMap": {"name": "company", "items": [{"key": "all.pem", "path": "ca.crt"}]}}

    assert volume in template["volumes"]
    for found in (template["containers"][0], template["initContainers"][0]):
        told = {variable["name"]: variable.get("value") for variable in found["env"]}
        assert {"/etc/rerank-operator/ca"} == {m["mountPath"] for m in found["volumeMounts"] if m["name"] == "ca"}
        assert {"/etc/rerank-operator/ca/ca.crt"} == {
            told[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        }


def test_further_volumes_variables_and_a_service_account_go_where_a_pod_has_them() -> None:
    template = pod(
        engine={
            "volumes": [{"name": "plugins", "emptyDir": {}}],
            "volumeMounts": [{"name": "plugins", "mountPath": "/plugins", "readOnly": True}],
            "envFrom": [{"secretRef": {"name": "more"}}],
            "serviceAccountName": "rerankers",
        }
    )["spec"]
    engine = template["containers"][0]
    fetch, check = template["initContainers"]

    assert {"name": "plugins", "emptyDir": {}} in template["volumes"]
    assert {"name": "plugins", "mountPath": "/plugins", "readOnly": True} in engine["volumeMounts"]
    assert [{"secretRef": {"name": "more"}}] == engine["envFrom"] == fetch["envFrom"]
    assert "envFrom" not in check
    assert ("rerankers", False) == (template["serviceAccountName"], template["automountServiceAccountToken"])


def test_every_volume_and_mount_of_the_operator_has_a_reserved_name_and_place() -> None:
    template = pod(engine={"caBundle": {"configMapName": "x"}}, access={"bearerSecretRef": {"name": "keys"}})["spec"]
    containers = [*template["containers"], *template["initContainers"]]

    assert [] == [v["name"] for v in template["volumes"] if not re.search(RESERVED_VOLUMES, v["name"])]
    mounts = [mount["mountPath"] for found in containers for mount in found["volumeMounts"]]
    assert [] == [path for path in mounts if not re.search(RESERVED_PATHS, path)]


def test_claims_and_mounts_of_a_pod_template_are_merged_with_ours() -> None:
    patch = {"resourceClaims": [{"name": "nic", "resourceClaimName": "fast"}]}
    template = pod(
        accelerator={"claims": [{"name": "gpu", "resourceClaimName": "one"}]},
        podTemplate={
            "spec": {**patch, "containers": [{"name": "vllm", "resources": {"claims": [{"name": "nic"}]}}]},
        },
    )["spec"]

    assert ["gpu", "nic"] == [claim["name"] for claim in template["resourceClaims"]]
    assert [{"name": "gpu"}, {"name": "nic"}] == template["containers"][0]["resources"]["claims"]
