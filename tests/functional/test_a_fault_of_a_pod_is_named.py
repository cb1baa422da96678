"""What a person reads in `kubectl describe` when a model pod does not come up."""

from collections.abc import Callable

import pytest

from rerank_operator.api.meanings import MEANINGS
from rerank_operator.api.reasons import Reason
from tests.doubles import pod_status
from tests.doubles.pod_status import Behaviour
from tests.functional.world import World

MODEL_FOLDER_MISSING = (
    "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': "
    "'/models/nowhere'. Use `repo_type` argument if needed."
)
FAULTS: dict[str, tuple[Callable[[], Behaviour], Reason, str]] = {
    "no such model folder": (
        lambda: pod_status.crash_loop(MODEL_FOLDER_MISSING),
        Reason.MODEL_NOT_FOUND,
        "/models/nowhere",
    ),
    "no such image": (pod_status.image_pull_back_off, Reason.IMAGE_PULL_FAILED, "NotFound"),
    "no GPU": (pod_status.unschedulable, Reason.ACCELERATOR_MISSING, "Insufficient nvidia.com/gpu"),
    "no token Secret": (
        lambda: pod_status.create_container_config_error('secret "hf" not found'),
        Reason.SECRET_MISSING,
        'secret "hf" not found',
    ),
    "no such key in the Secret": (
        lambda: pod_status.create_container_config_error("couldn't find key token in Secret search/hf"),
        Reason.SECRET_KEY_MISSING,
        "couldn't find key token",
    ),
    "a flag that vLLM does not know": (
        lambda: pod_status.crash_loop("vllm serve: error: unrecognized arguments: --task score", exit_code=2),
        Reason.BAD_ENGINE_ARGUMENT,
        "--task score",
    ),
    "an engine that dies with exit code 0": (
        lambda: pod_status.crash_loop("EngineDeadError: the engine core died", exit_code=0),
        Reason.CRASH_LOOPING,
        "exit code 0",
    ),
}


@pytest.mark.parametrize(("behaviour", "reason", "seen"), FAULTS.values(), ids=FAULTS)
def test_the_condition_names_the_fault_and_the_remedy_and_recovers(
    world: World, behaviour: Callable[[], Behaviour], reason: Reason, seen: str
) -> None:
    world.misbehave("model-a", behaviour())
    world.reranker()

    ready = world.wait_for_reason(reason.value)
    assert seen in ready["message"]
    assert MEANINGS[reason].remedy in ready["message"]
    assert reason.value in world.kubectl("describe", "rrs", "bge").split("Events:")[1]

    world.misbehave("model-a", None)
    world.wait_for_reason("Ready")


def test_a_pod_that_admission_refuses_is_named(world: World) -> None:
    world.control_plane.kubectl("label", "namespace", world.namespace, "pod-security.kubernetes.io/enforce=restricted")
    world.reranker(podTemplate={"spec": {"hostNetwork": True}})

    ready = world.wait_for_reason("PodSecurityForbidden")
    assert "hostNetwork" in ready["message"]

    world.reranker(podTemplate=None)
    world.wait_for_reason("Ready")


def test_a_quota_that_is_used_up_is_named(world: World) -> None:
    world.kubectl("create", "quota", "none", "--hard=pods=0")
    world.reranker()

    assert "exceeded quota" in world.wait_for_reason("QuotaExceeded")["message"]


def test_a_pod_template_that_kubernetes_refuses_is_told_in_its_own_words(world: World) -> None:
    world.reranker(podTemplate={"spec": {"volumes": [{"name": "x", "emptyDir": {"sizeLimit": "lots"}}]}})

    assert "quantities" in world.wait_for_reason("InvalidSpec")["message"]

    world.reranker(podTemplate=None)
    world.wait_for_reason("Ready")


def test_a_model_that_does_not_answer_within_its_startup_time_is_named_and_left_alone(world: World) -> None:
    world.misbehave("model-a", pod_status.never_ready())
    world.reranker(rollout={"startupTimeoutSeconds": 30})

    world.wait_for_reason("EngineStarting")
    ready = world.wait_for_reason("StartupTimeout", seconds=60)
    assert "No answer within 30 s" in ready["message"]
    probe = world.objects("pods")[0]["spec"]["containers"][0]["startupProbe"]
    assert 30 == probe["periodSeconds"] * probe["failureThreshold"]
