"""`spec.model`: what is served, and where it comes from."""

from typing import Annotated

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.fields import Name, SecretKeyRef, strict


class HuggingFaceSource(schema.BaseModel):
    """Download from a Hugging Face hub."""

    model_config = strict(
        (
            "!has(self.endpoint) || self.endpoint.matches('^https?://[^/ ]+')",
            "model.source.huggingFace.endpoint must be a URL such as https://hub.example.com",
        )
    )
    token_secret_ref: schema.Optional[SecretKeyRef] = Field(
        None, description="Token for gated or private models. Only a reference: the operator never reads it."
    )
    endpoint: schema.Optional[Annotated[str, Field(max_length=2048)]] = Field(
        None, description="Address of a mirror of the hub (HF_ENDPOINT)."
    )


class VolumeSource(schema.BaseModel):
    """Serve a model folder that already lies on a volume; nothing is downloaded."""

    model_config = strict(
        (
            "!self.path.startsWith('/') && !self.path.matches('(^|/)[.][.](/|$)')",
            (
                "model.source.volume.path is relative to the root of the volume: "
                "remove the leading / and any .. (example: models/bge-reranker-v2-m3)"
            ),
        )
    )
    claim_name: Name = Field(description="Name of the PersistentVolumeClaim; it is mounted read-only.")
    path: Annotated[str, Field(max_length=1024)] = Field(
        "", description="Model folder, relative to the root of the volume."
    )


class ModelSource(schema.BaseModel):
    """Where the model comes from: a hub (the default) or a volume."""

    model_config = strict(
        (
            "!(has(self.huggingFace) && has(self.volume))",
            "model.source takes huggingFace or volume, not both: remove one of them",
        )
    )
    hugging_face: schema.Optional[HuggingFaceSource] = Field(None, description="Download from a hub.")
    volume: schema.Optional[VolumeSource] = Field(None, description="A folder on an existing volume claim.")


class Model(schema.BaseModel):
    """The model to serve."""

    model_config = strict(
        (
            "self.name.matches('^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$')",
            (
                "model.name must be a Hugging Face id such as BAAI/bge-reranker-v2-m3, or one word for a model on a "
                "volume (the folder goes into model.source.volume.path)"
            ),
        ),
        (
            "!(has(self.revision) && has(self.source) && has(self.source.volume))",
            "model.revision names a commit of a hub and a volume has none: remove one of them",
        ),
    )
    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Hugging Face id of the model. It is also the name under which /v1/rerank knows the model."
    )
    revision: schema.Optional[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        None, description="Commit, tag or branch of the model. Pin a commit: a branch can change under you."
    )
    max_length: schema.Optional[schema.conint(ge=16, le=1048576)] = Field(
        None, description="Tokens per query and document pair (--max-model-len). Default: what the model allows."
    )
    source: schema.Optional[ModelSource] = Field(None, description="Where the model comes from. Default: the hub.")
    trust_remote_code: bool = Field(
        False, description="Run Python code from the model repository. Read that code first, and pin model.revision."
    )
