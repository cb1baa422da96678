"""The RerankService that the demo creates, and what its status says."""

import copy
import dataclasses
from pathlib import Path
from typing import Any, Self

import yaml


@dataclasses.dataclass(frozen=True)
class Reranker:
    """A RerankService manifest."""

    manifest: dict[str, Any]

    @classmethod
    def from_sample(cls, sample: Path, namespace: str, model_path: str | None = None) -> Self:
        """Read a sample; `model_path` is the model's folder on the sample's volume."""
        manifest = copy.deepcopy(yaml.safe_load(sample.read_text(encoding="utf-8")))
        manifest["metadata"]["namespace"] = namespace
        if model_path is not None:
            manifest["spec"]["model"]["source"]["volume"]["path"] = model_path
        return cls(manifest)

    @property
    def name(self) -> str:
        """Name of the resource, and of its Service."""
        name: str = self.manifest["metadata"]["name"]
        return name

    @property
    def namespace(self) -> str:
        """Namespace of the resource."""
        namespace: str = self.manifest["metadata"]["namespace"]
        return namespace

    @property
    def model(self) -> str:
        """Name of the model."""
        model: str = self.manifest["spec"]["model"]["name"]
        return model

    @property
    def claim_name(self) -> str:
        """The volume claim that holds the model."""
        claim: str = self.manifest["spec"]["model"]["source"]["volume"]["claimName"]
        return claim


@dataclasses.dataclass(frozen=True)
class Readiness:
    """What the Ready condition says about the spec as it is now."""

    status: str
    reason: str
    message: str
    config_map: str

    @property
    def is_ready(self) -> bool:
        """Whether the reranker serves, is verified and is published."""
        return self.status == "True" and bool(self.config_map)


def readiness(resource: dict[str, Any]) -> Readiness:
    """Read the Ready condition; one that speaks of an older spec counts as unknown."""
    status = resource.get("status", {})
    config_map = status.get("configMapName", "")
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    ready = conditions.get("Ready", {"status": "Unknown", "reason": "Pending", "message": ""})
    if ready["status"] == "True" and ready.get("observedGeneration") != resource["metadata"]["generation"]:
        return Readiness("Unknown", "Pending", "The operator has not looked at the changed spec yet.", config_map)
    return Readiness(ready["status"], ready["reason"], ready["message"], config_map)
