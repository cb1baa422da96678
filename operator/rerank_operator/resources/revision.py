"""A revision: the immutable, hashed snapshot of everything that shapes a model pod.

The hash is taken from the user's own words (the pod-shaping part of the spec without defaults), not from the
rendered pod: an operator with newer templates or another default image finds the same hash, and so leaves
running pods alone. The same spec always is the same revision, which makes the way back instant.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, Self

from rerank_operator.api import names
from rerank_operator.api.v1alpha1 import AcceleratorType, RerankService, RerankServiceSpec
from rerank_operator.engine import command
from rerank_operator.resources.pod import build_files, build_pod_template
from rerank_operator.resources.render import owner_reference, render

_SHAPES_THE_POD: Final = {
    **dict.fromkeys(
        ("model", "external", "engine", "accelerator", "resources", "scheduling", "pod_template", "access"), True
    ),
    "rollout": {"startup_timeout_seconds"},
}
_HASH_LENGTH: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class EngineImages:
    """Images for resources that name none."""

    by_type: Mapping[AcceleratorType, str]

    def of(self, spec: RerankServiceSpec) -> str:
        """The image that a spec without one gets; empty where there is none for its accelerator."""
        return self.by_type.get(spec.accelerator.type, "")


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What has to be known of a revision that runs. A newer operator may add facts, with what was true before."""

    model: str
    model_revision: str | None
    max_length: int | None
    truncation_safe: bool
    max_documents: int | None = None
    bearer_secret: str | None = None
    startup_seconds: int = 3600
    lacks_template: bool = False

    @classmethod
    def of(cls, spec: RerankServiceSpec) -> Self:
        """Facts of the model that a spec asks for. How somebody else's server was started is not known."""
        entry = command.entry_of(spec)
        secret = spec.access.bearer_secret_ref.name if spec.access.bearer_secret_ref else None
        if spec.external:
            return cls(
                model=spec.model.name,
                model_revision=spec.model.revision,
                max_length=spec.model.max_length,
                truncation_safe=command.is_truncation_safe(spec, entry),
                bearer_secret=secret,
            )
        return cls(
            model=spec.model.name,
            model_revision=command.model_revision(spec, entry),
            max_length=command.max_length(spec, entry),
            truncation_safe=command.is_truncation_safe(spec, entry),
            max_documents=command.max_documents(spec, entry),
            bearer_secret=secret,
            startup_seconds=spec.rollout.startup_timeout_seconds,
            lacks_template=command.lacks_prompt_template(spec, entry),
        )


def revision_hash(spec: RerankServiceSpec) -> str:
    """Eight hex digits that name the revision."""
    shape = spec.model_dump(
        mode="json", include=_SHAPES_THE_POD, exclude_none=True, exclude_defaults=True, by_alias=True
    )
    if not shape.get("rollout"):
        shape.pop("rollout", None)  # only what does not shape a pod was changed in it
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def build_revision(
    reranker: RerankService, owner: dict[str, Any], revision: str, images: EngineImages, number: int
) -> dict[str, Any]:
    """The ControllerRevision of `revision`: pod template, mounted files and facts; `number` orders the history."""
    name, spec = reranker.metadata.name, reranker.spec
    image = images.of(spec)
    stored = render(
        "revision.yaml.j2",
        name=names.revision_name(name, revision),
        namespace=reranker.metadata.namespace,
        labels=names.revision_labels(name, revision),
        owner=owner_reference(owner),
        number=number,
    )
    entry = command.entry_of(spec)
    stored["data"] = {
        "template": build_pod_template(name, revision, spec, entry, image),
        "files": build_files(spec, entry),
        "facts": dataclasses.asdict(Facts.of(spec)),
    }
    return stored


def facts_of(stored: dict[str, Any]) -> Facts:
    """The facts in a ControllerRevision; facts that only a newer operator knows are left out."""
    known = {field.name for field in dataclasses.fields(Facts)}
    return Facts(**{name: value for name, value in stored["data"]["facts"].items() if name in known})
