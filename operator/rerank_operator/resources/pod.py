"""The pod of one revision."""

import ast
import functools
from importlib import resources as package_files
from typing import Any, Final

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import Guard, RerankServiceSpec, Scheduling
from rerank_operator.catalog.entry import Entry
from rerank_operator.catalog.templates import template as prompt_template
from rerank_operator.engine import command, devices, preparation
from rerank_operator.engine.versions import version_of
from rerank_operator.resources.model_volume import build_model_steps
from rerank_operator.resources.pod_template import merge_pod_template
from rerank_operator.resources.render import render

PROBE_PERIOD_SECONDS: Final = 5
# The oldest Python of the vLLM images that can load the guard.
ENGINE_PYTHON: Final = (3, 9)
SHM_SIZE: Final = "2Gi"


_SCRIPTS: Final = (command.GUARD_FILE, command.PROBE_FILE, preparation.FETCH_FILE, preparation.CHECK_FILE)


def build_files(spec: RerankServiceSpec, entry: Entry) -> dict[str, str]:
    """Files that are mounted into the model pod, by name: our scripts, what they are told, and the model's prompt.

    Raises SyntaxError for a file that Python cannot load: vLLM would notice only after it has loaded the model.
    """
    files = {**scripts(), preparation.REQUEST_FILE: preparation.build_request(spec, entry)}
    if entry.template:
        files[command.TEMPLATE_FILE] = prompt_template(entry.template)
    return files


@functools.cache
def scripts() -> dict[str, str]:
    """The scripts among those files."""
    folder = package_files.files("rerank_operator.engine")
    files = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS}
    for name, text in files.items():
        compile(ast.parse(text, filename=name, feature_version=ENGINE_PYTHON), name, "exec")
    return files


def build_pod_template(name: str, revision: str, spec: RerankServiceSpec, entry: Entry, image: str) -> dict[str, Any]:
    """The pod template of a revision; `image` is used where the spec names none.

    A pod template of the user (`spec.podTemplate`) is merged last. Our labels and the container's command stay.
    """
    engine_image, resources = spec.engine.image or image, _resources(spec)
    guard = spec.engine.guard is Guard.ENABLED
    template = render(
        "pod.yaml.j2",
        labels=names.revision_labels(name, revision),
        grace_seconds=command.GRACE_SECONDS,
        image_pull_secrets=[{"name": ref.name} for ref in spec.engine.image_pull_secrets],
        service_account=spec.engine.service_account_name,
        scheduling=_scheduling(spec.scheduling, names.revision_selector(name, revision)),
        resource_claims=_resource_claims(spec),
        image=engine_image,
        image_pull_policy=str(spec.engine.image_pull_policy) if spec.engine.image_pull_policy else None,
        command=command.build_command(spec, entry, version_of(engine_image)),
        env=command.build_environment(spec, entry),
        env_from=spec.engine.env_from,
        port=names.ENGINE_PORT,
        resources=_with_accelerators(resources, spec),
        guard=guard,
        probe_command=command.probe_command(),
        startup_failures=max(1, spec.rollout.startup_timeout_seconds // PROBE_PERIOD_SECONDS),
        pre_stop=command.pre_stop_command(guard=guard),
        files_mount=command.FILES_MOUNT,
        run_mount=command.RUN_MOUNT,
        home=command.HOME,
        keys_mount=command.KEYS_MOUNT,
        keys_secret=spec.access.bearer_secret_ref.name if spec.access.bearer_secret_ref else None,
        ca=ca_volume(spec),
        ca_mount=command.CA_MOUNT,
        volumes=[volume.model_dump(exclude_none=True) for volume in spec.engine.volumes],
        volume_mounts=[mount.model_dump(exclude_none=True) for mount in spec.engine.volume_mounts],
        model_mount=command.MODEL_MOUNT,
        model_is_writable=command.cache(spec) is not None,
        model=build_model_steps(name, spec, engine_image, resources),
        files_name=names.revision_name(name, revision),
        shm_size=SHM_SIZE,
    )
    return merge_pod_template(template, spec)


def ca_volume(spec: RerankServiceSpec) -> dict[str, Any] | None:
    """The volume with the certificates that the pods trust; None for those of the image."""
    bundle = spec.engine.ca_bundle
    if bundle is None:
        return None
    items = [{"key": bundle.key, "path": command.CA_FILE}]
    return {"name": "ca", "configMap": {"name": bundle.config_map_name, "items": items}}


def _resources(spec: RerankServiceSpec) -> dict[str, Any]:
    given = (("requests", spec.resources.requests), ("limits", spec.resources.limits))
    return {kind: dict(amounts) for kind, amounts in given if amounts}


def _with_accelerators(resources: dict[str, Any], spec: RerankServiceSpec) -> dict[str, Any]:
    merged = dict(resources)
    if resource := devices.device_resource(spec):
        merged["limits"] = {**resources.get("limits", {}), resource: str(spec.accelerator.count or 1)}
    if claims := spec.accelerator.claims:
        merged["claims"] = [claim.model_dump(include={"name", "request"}, exclude_none=True) for claim in claims]
    return merged


def _resource_claims(spec: RerankServiceSpec) -> list[dict[str, Any]]:
    return [claim.model_dump(exclude={"request"}, exclude_none=True) for claim in spec.accelerator.claims]


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
