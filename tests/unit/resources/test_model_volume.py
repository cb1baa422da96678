"""What brings the model into a pod: its volume, and the init containers that fetch it and read its files."""

from typing import Any

import pytest

from rerank_operator.engine import command
from rerank_operator.resources.model_volume import build_claim, build_model_steps, wants_claim
from rerank_operator.resources.pod import build_pod_template
from tests.builders import a_reranker, a_resource

Object = dict[str, Any]
NAME = "BAAI/bge-reranker-v2-m3"
IMAGE = "vllm/vllm-openai:v0.32.0"
CACHED: Object = {"huggingFace": {"cache": {"size": "20Gi"}}}
SOURCES: dict[str, Object] = {
    "the hub": {},
    "a mirror": {"huggingFace": {"endpoint": "https://hub.example.com", "tokenSecretRef": {"name": "hf"}}},
    "the hub, kept on a claim that exists": {"huggingFace": {"cache": {"claimName": "models"}}},
    "the hub, kept on a claim that is created": CACHED,
    "a volume": {"volume": {"claimName": "models", "path": "bge"}},
    "a folder of the node": {"hostPath": {"path": "/data/models/bge"}},
    "an image": {"image": {"reference": "registry.example.com/models:1", "pullPolicy": "Always", "path": "bge"}},
}
# By source: the volume, whether it is fetched, whether the engine may write to it.
VOLUMES: dict[str, tuple[Object, bool, bool]] = {
    "the hub": ({"emptyDir": {}}, True, False),
    "a mirror": ({"emptyDir": {}}, True, False),
    "the hub, kept on a claim that exists": (
        {"persistentVolumeClaim": {"claimName": "models", "readOnly": False}},
        True,
        True,
    ),
    "the hub, kept on a claim that is created": (
        {"persistentVolumeClaim": {"claimName": "bge-models", "readOnly": False}},
        True,
        True,
    ),
    "a volume": ({"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}, False, False),
    "a folder of the node": ({"hostPath": {"path": "/data/models/bge", "type": "Directory"}}, False, False),
    "an image": (
        {"image": {"reference": "registry.example.com/models:1", "pullPolicy": "Always"}},
        False,
        False,
    ),
}


def spec_of(source: Object | None = None, **spec: Any) -> Object:
    return {"model": {"name": NAME, **({"source": source} if source else {})}, **spec}


def steps(source: Object | None = None, resources: Object | None = None, **spec: Any) -> Object:
    return build_model_steps("bge", a_reranker(**spec_of(source, **spec)).spec, IMAGE, resources or {})


def pod(source: Object | None = None, **spec: Any) -> Object:
    parsed = a_reranker(**spec_of(source, **spec)).spec
    found: Object = build_pod_template("bge", "abc", parsed, command.entry_of(parsed), IMAGE)["spec"]
    return found


def containers(source: Object | None = None, **spec: Any) -> dict[str, Object]:
    return {step["name"]: step for step in steps(source, **spec)["initContainers"]}


def mounts(container: Object) -> dict[str, tuple[str, bool]]:
    """By volume: where it is, and whether it can only be read."""
    return {m["name"]: (m["mountPath"], m.get("readOnly", False)) for m in container["volumeMounts"]}


def variables(container: Object) -> Object:
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def claim(**cache: Any) -> Object:
    source = {"huggingFace": {"cache": cache}}
    return build_claim(a_reranker(**spec_of(source)), a_resource(**spec_of(source)))


@pytest.mark.parametrize("where", SOURCES)
def test_a_model_is_fetched_where_it_has_to_be_and_always_checked(where: str) -> None:
    volume, fetched, _ = VOLUMES[where]
    found = steps(SOURCES[where])

    assert {"name": "model", **volume} == found["volume"]
    names = [step["name"] for step in found["initContainers"]]
    assert (["fetch-model"] if fetched else []) + ["check-model"] == names


@pytest.mark.parametrize("where", SOURCES)
def test_only_what_fetches_writes_and_the_engine_where_it_keeps_what_it_compiled(where: str) -> None:
    _, fetched, writable = VOLUMES[where]
    found = pod(SOURCES[where])
    by_name = {c["name"]: c for c in (*found["initContainers"], *found["containers"])}

    assert ("/models", not writable) == mounts(by_name["vllm"])["model"]
    assert ("/models", True) == mounts(by_name["check-model"])["model"]
    assert ({"fetch-model": ("/models", False)} if fetched else {}) == {
        name: mounts(c)["model"] for name, c in by_name.items() if name == "fetch-model"
    }
    assert writable == ("VLLM_CACHE_ROOT" in variables(by_name["vllm"]))


@pytest.mark.parametrize("where", SOURCES)
def test_the_init_containers_meet_the_restricted_level(where: str) -> None:
    found = pod(SOURCES[where])

    assert (True, {"type": "RuntimeDefault"}) == (
        found["securityContext"]["runAsNonRoot"],
        found["securityContext"]["seccompProfile"],
    )
    for step in found["initContainers"]:
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == step["securityContext"]
        assert "restartPolicy" not in step


RESTRICTED = {"configMap", "emptyDir", "persistentVolumeClaim"}


@pytest.mark.parametrize(
    ("where", "kinds"),
    [(where, set()) for where in SOURCES if where not in ("a folder of the node", "an image")]
    + [("a folder of the node", {"hostPath"}), ("an image", {"image"})],
)
def test_only_a_folder_of_the_node_and_an_image_are_beyond_the_volumes_of_the_restricted_level(
    where: str, kinds: set[str]
) -> None:
    found = {kind for volume in pod(SOURCES[where])["volumes"] for kind in volume if kind != "name"}
    assert kinds == found - RESTRICTED


@pytest.mark.parametrize("where", SOURCES)
def test_every_mount_of_a_step_is_a_volume_of_the_pod(where: str) -> None:
    found = pod(SOURCES[where])
    volumes = {volume["name"] for volume in found["volumes"]}

    for step in found["initContainers"]:
        assert set(mounts(step)) <= volumes
        # The root of the container is read-only: these are what Python and the hub's library write to.
        assert {"run": False, "tmp": False, "home": False, "files": True} == {
            name: read_only for name, (_, read_only) in mounts(step).items() if name != "model"
        }


def test_the_steps_run_our_scripts_with_the_python_of_the_image() -> None:
    found = containers()
    files = "/opt/rerank-operator"

    assert ["python3", "-I", f"{files}/fetch_model.py", f"{files}/model.json"] == found["fetch-model"]["command"]
    assert ["python3", "-I", "-S", f"{files}/check_model.py", f"{files}/model.json"] == found["check-model"]["command"]
    assert {IMAGE} == {step["image"] for step in found.values()}
    assert {"FallbackToLogsOnError"} == {step["terminationMessagePolicy"] for step in found.values()}


def test_the_steps_may_use_what_the_engine_may_and_take_no_accelerator() -> None:
    given = {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi"}}

    assert [given, given] == [step["resources"] for step in steps(resources=given)["initContainers"]]
    found = pod(resources=given)
    assert [given, given] == [step["resources"] for step in found["initContainers"]]
    assert "nvidia.com/gpu" in found["containers"][0]["resources"]["limits"]


def test_the_image_is_pulled_as_the_engines() -> None:
    assert {"Always"} == {step["imagePullPolicy"] for step in containers(engine={"imagePullPolicy": "Always"}).values()}
    assert [] == [step for step in containers().values() if "imagePullPolicy" in step]


def test_the_token_and_the_mirror_are_told_to_what_fetches_alone() -> None:
    found = containers(SOURCES["a mirror"])

    assert {
        "HOME": "/home/vllm",
        "HF_HOME": "/home/vllm/huggingface",
        "HF_ENDPOINT": "https://hub.example.com",
        "HF_TOKEN": {"secretKeyRef": {"name": "hf", "key": "token"}},
    } == variables(found["fetch-model"])
    assert [] == found["check-model"]["env"]


def test_the_users_variables_reach_what_fetches() -> None:
    engine = {"env": [{"name": "HF_HUB_DOWNLOAD_TIMEOUT", "value": "60"}, {"name": "HF_HOME", "value": "/tmp/hub"}]}
    found = containers(engine=engine)

    assert {"HF_HUB_DOWNLOAD_TIMEOUT": "60", "HF_HOME": "/tmp/hub"}.items() <= variables(found["fetch-model"]).items()
    assert [] == found["check-model"]["env"]


def test_an_image_that_says_nothing_of_pulls_leaves_it_to_the_kubelet() -> None:
    assert {"reference": "models:1"} == steps({"image": {"reference": "models:1"}})["volume"]["image"]


@pytest.mark.parametrize("where", SOURCES)
def test_a_claim_is_created_only_where_a_size_is_given(where: str) -> None:
    assert (SOURCES[where] is CACHED) == wants_claim(a_reranker(**spec_of(SOURCES[where])).spec)


@pytest.mark.parametrize("where", [where for where in SOURCES if SOURCES[where] is not CACHED])
def test_no_claim_is_built_where_none_is_asked_for(where: str) -> None:
    with pytest.raises(ValueError, match=r"model\.source\.huggingFace\.cache\.size is not set"):
        build_claim(a_reranker(**spec_of(SOURCES[where])), a_resource())


def test_a_created_claim_goes_with_the_reranker() -> None:
    found = claim(size="20Gi")

    assert ("bge-models", "search") == (found["metadata"]["name"], found["metadata"]["namespace"])
    assert ["uid-of-bge"] == [reference["uid"] for reference in found["metadata"]["ownerReferences"]]
    assert {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "20Gi"}},
    } == found["spec"]
    assert "rerank-operator" == found["metadata"]["labels"]["app.kubernetes.io/managed-by"]


def test_a_retained_claim_has_no_owner() -> None:
    assert "ownerReferences" not in claim(size="20Gi", retain=True)["metadata"]
    assert {"retained", "owned"} == {
        "owned" if "ownerReferences" in claim(size="1Gi", retain=retain)["metadata"] else "retained"
        for retain in (True, False)
    }


def test_class_and_access_mode_of_a_claim_are_the_users() -> None:
    found = claim(size=21474836480, storageClassName="fast", accessMode="ReadWriteMany")["spec"]

    assert {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "21474836480"}},
    } == found


def test_a_retained_claim_is_the_same_volume_in_the_pod() -> None:
    kept = {"huggingFace": {"cache": {"size": "20Gi", "retain": True}}}
    assert steps(CACHED)["volume"] == steps(kept)["volume"]


@pytest.mark.parametrize("path", ["no", "1e3", "a: b", "{{ x }}", "é 'x'"])
def test_a_value_stays_the_text_it_is(path: str) -> None:
    assert f"/{path}" == steps({"hostPath": {"path": f"/{path}"}})["volume"]["hostPath"]["path"]
