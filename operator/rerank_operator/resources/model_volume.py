"""What brings the model into a pod: its volume, and the init containers that fetch it and read its files."""

from typing import Any

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import RerankService, RerankServiceSpec
from rerank_operator.engine import command, preparation
from rerank_operator.resources.render import owner_reference, render


def build_model_steps(name: str, spec: RerankServiceSpec, image: str, resources: dict[str, Any]) -> dict[str, Any]:
    """`initContainers` and the `volume` of the model, for the pods of the reranker `name`.

    `resources` are the engine's, without its accelerators.
    """
    fetched = command.is_fetched(spec)
    source = spec.model.source
    return render(
        "model.yaml.j2",
        image=image,
        image_pull_policy=str(spec.engine.image_pull_policy) if spec.engine.image_pull_policy else None,
        resources=resources,
        fetch_name=names.FETCH_CONTAINER,
        fetch_command=preparation.fetch_command() if fetched else None,
        fetch_env=preparation.fetch_environment(spec) if fetched else None,
        fetch_env_from=spec.engine.env_from,
        ca_mount=command.CA_MOUNT if spec.engine.ca_bundle else None,
        check_name=names.CHECK_CONTAINER,
        check_command=preparation.check_command(),
        files_mount=command.FILES_MOUNT,
        run_mount=command.RUN_MOUNT,
        home=command.HOME,
        model_mount=command.MODEL_MOUNT,
        claim=_claim(name, spec),
        host_path=source.host_path.path if source and source.host_path else None,
        model_image=_image(spec),
    )


def wants_claim(spec: RerankServiceSpec) -> bool:
    """Whether a claim is created for the reranker."""
    cache = command.cache(spec)
    return cache is not None and cache.size is not None


def build_claim(reranker: RerankService, owner: dict[str, Any]) -> dict[str, Any]:
    """The PersistentVolumeClaim that `model.source.huggingFace.cache.size` asks for.

    One that is retained has no owner: it outlives the reranker. Raises ValueError where none is asked for.
    """
    name, cache = reranker.metadata.name, command.cache(reranker.spec)
    if cache is None or cache.size is None:
        raise ValueError("model.source.huggingFace.cache.size is not set")
    return render(
        "claim.yaml.j2",
        name=names.cache_name(name),
        namespace=reranker.metadata.namespace,
        labels=names.child_labels(name),
        owner=None if cache.retain else owner_reference(owner),
        access_mode=str(cache.access_mode or "ReadWriteOnce"),
        storage_class=cache.storage_class_name,
        size=str(cache.size),
    )


def _claim(name: str, spec: RerankServiceSpec) -> str | None:
    source, cache = spec.model.source, command.cache(spec)
    if source and source.volume:
        return str(source.volume.claim_name)
    if cache is None:
        return None
    return cache.claim_name or names.cache_name(name)


def _image(spec: RerankServiceSpec) -> dict[str, str] | None:
    source = spec.model.source
    if source is None or source.image is None:
        return None
    found = {"reference": source.image.reference}
    return {**found, "pullPolicy": str(source.image.pull_policy)} if source.image.pull_policy else found
