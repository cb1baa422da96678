"""The pod of one revision."""

import ast
import functools
from importlib import resources as package_files
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import Guard, RerankServiceSpec, Scheduling
from rerank_operator.catalog.models import Entry
from rerank_operator.engine import command
from rerank_operator.resources.merge import merge
from rerank_operator.resources.render import render

PROBE_PERIOD_SECONDS: Final = 5
# The oldest Python of the vLLM images that can load the guard.
ENGINE_PYTHON: Final = (3, 9)
GPU_RESOURCE: Final = "nvidia.com/gpu"
SHM_SIZE: Final = "2Gi"


@functools.cache
def build_files() -> dict[str, str]:
    """Files that are mounted into the model pod, by name: the guard and the exec probe.

    Raises SyntaxError for a file that Python cannot load: vLLM would notice only after it has loaded the model.
    """
    folder = package_files.files("rerank_operator.engine")
    files = {
        name: folder.joinpath(name).read_text(encoding="utf-8") for name in (command.GUARD_FILE, command.PROBE_FILE)
    }
    for name, text in files.items():
        compile(ast.parse(text, filename=name, feature_version=ENGINE_PYTHON), name, "exec")
    return files


def build_pod_template(name: str, revision: str, spec: RerankServiceSpec, entry: Entry, image: str) -> dict[str, Any]:
    """The pod template of a revision; `image` is used where the spec names none.

    A pod template of the user (`spec.podTemplate`) is merged last. Our labels and the container's command stay.
    """
    source = spec.model.source
    guard = spec.engine.guard is Guard.ENABLED
    template = render(
        "pod.yaml.j2",
        labels=names.revision_labels(name, revision),
        grace_seconds=command.GRACE_SECONDS,
        image_pull_secrets=[{"name": ref.name} for ref in spec.engine.image_pull_secrets],
        scheduling=_scheduling(spec.scheduling, names.revision_selector(name, revision)),
        image=spec.engine.image or image,
        image_pull_policy=str(spec.engine.image_pull_policy) if spec.engine.image_pull_policy else None,
        command=command.build_command(spec, entry),
        env=command.build_environment(spec),
        port=names.ENGINE_PORT,
        resources=_resources(spec),
        guard=guard,
        probe_command=command.probe_command(),
        startup_failures=max(1, spec.rollout.startup_timeout_seconds // PROBE_PERIOD_SECONDS),
        pre_stop=command.pre_stop_command(guard=guard),
        files_mount=command.FILES_MOUNT,
        run_mount=command.RUN_MOUNT,
        home=command.HOME,
        keys_mount=command.KEYS_MOUNT,
        keys_secret=spec.access.bearer_secret_ref.name if spec.access.bearer_secret_ref else None,
        model_mount=command.MODEL_MOUNT,
        model_claim=source.volume.claim_name if source and source.volume else None,
        files_name=names.revision_name(name, revision),
        shm_size=SHM_SIZE,
    )
    return _merge_user_template(template, spec)


def _merge_user_template(template: dict[str, Any], spec: RerankServiceSpec) -> dict[str, Any]:
    if spec.pod_template is None:
        return template
    patch = spec.pod_template.model_dump(exclude_none=True)
    merged: dict[str, Any] = merge(template, patch)
    merged["metadata"]["labels"] |= template["metadata"]["labels"]
    return merged


def _resources(spec: RerankServiceSpec) -> dict[str, Any]:
    requests = dict(spec.resources.requests)
    limits = dict(spec.resources.limits)
    if gpus := command.gpu_count(spec):
        limits[GPU_RESOURCE] = str(gpus)
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}


def _scheduling(scheduling: Scheduling, selector: dict[str, str]) -> dict[str, Any]:
    """The spec's own fields; pods spread over nodes and zones as far as that costs nothing, unless it says more."""
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
    given = {key: value for key, value in scheduling.model_dump(exclude_none=True).items() if value}
    return {"topologySpreadConstraints": spread, **given}
