"""`spec.model`: what is served, and where it comes from."""

from typing import Annotated, Final

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.engine import PullPolicy
from rerank_operator.api.v1alpha1.fields import Name, SecretKeyRef, Words, strict

_HUB_ID: Final = "^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$"
_BELOW: Final = "!self.path.startsWith('/') && !self.path.matches('(^|/)[.][.](/|$)')"


class AccessMode(Words):
    """How a claim may be mounted."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_MANY = "ReadWriteMany"


class ModelCache(schema.BaseModel):
    """Keep what was downloaded, and what vLLM compiled, on a volume claim: the next pod starts without a download."""

    model_config = strict(
        (
            "has(self.claimName) != has(self.size)",
            "model.source.huggingFace.cache takes claimName (a claim that exists) or size (one is created): set one",
        ),
        (
            "has(self.size) || !(has(self.storageClassName) || has(self.accessMode) || self.retain)",
            (
                "model.source.huggingFace.cache: storageClassName, accessMode and retain need size: a claim that "
                "exists has its own"
            ),
        ),
    )
    claim_name: schema.Optional[Name] = Field(None, description="Name of a claim that exists; it is written to.")
    size: schema.Optional[schema.IntOrString] = Field(
        None, description="Size of the claim `<name>-models` that is created, such as 20Gi."
    )
    storage_class_name: schema.Optional[Name] = Field(None, description="Its storage class. Default: the cluster's.")
    access_mode: schema.Optional[AccessMode] = Field(
        None,
        description="ReadWriteOnce (default) serves the pods of one node, ReadWriteMany those of all: a second "
        "replica or a BlueGreen rollout on another node needs it.",
    )
    retain: bool = Field(False, description="Whether the claim stays when this resource is deleted.")


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
    cache: schema.Optional[ModelCache] = Field(
        None, description="Volume that keeps the download. Default: each new pod downloads the model."
    )


class VolumeSource(schema.BaseModel):
    """Serve a model folder that already lies on a volume; nothing is downloaded."""

    model_config = strict(
        (
            _BELOW,
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


class HostPathSource(schema.BaseModel):
    """Serve a model folder of the node. The restricted and baseline Pod Security levels forbid this."""

    model_config = strict(
        (
            "self.path.startsWith('/') && !self.path.matches('(^|/)[.][.](/|$)')",
            "model.source.hostPath.path is an absolute path of the node (example: /data/models/bge-reranker-v2-m3)",
        )
    )
    path: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="The model folder on the node.")


class ImageSource(schema.BaseModel):
    """Serve a model folder of an OCI image (image volumes of Kubernetes; the node's runtime must know them)."""

    model_config = strict(
        (
            _BELOW,
            (
                "model.source.image.path is relative to the root of the image: "
                "remove the leading / and any .. (example: models/bge-reranker-v2-m3)"
            ),
        )
    )
    reference: Annotated[str, Field(min_length=1, max_length=1024)] = Field(description="The image or artifact.")
    pull_policy: schema.Optional[PullPolicy] = Field(None, description="When to pull it.")
    path: Annotated[str, Field(max_length=1024)] = Field(
        "", description="Model folder, relative to the root of the image."
    )


class ModelSource(schema.BaseModel):
    """Where the model comes from: a hub (the default), a volume, a folder of the node, or an image."""

    model_config = strict(
        (
            "[has(self.huggingFace), has(self.volume), has(self.hostPath), has(self.image)].filter(x, x).size() <= 1",
            "model.source takes one of huggingFace, volume, hostPath and image: remove the others",
        )
    )
    hugging_face: schema.Optional[HuggingFaceSource] = Field(None, description="Download from a hub.")
    volume: schema.Optional[VolumeSource] = Field(None, description="A folder on an existing volume claim.")
    host_path: schema.Optional[HostPathSource] = Field(None, description="A folder of the node.")
    image: schema.Optional[ImageSource] = Field(None, description="A folder of an OCI image.")


class Model(schema.BaseModel):
    """The model to serve."""

    model_config = strict(
        (
            f"self.name.matches('{_HUB_ID}')",
            (
                "model.name must be a Hugging Face id such as BAAI/bge-reranker-v2-m3, or one word for a model on a "
                "volume (the folder goes into model.source.volume.path)"
            ),
        ),
        (
            (
                "!(has(self.revision) && has(self.source) && "
                "(has(self.source.volume) || has(self.source.hostPath) || has(self.source.image)))"
            ),
            "model.revision names a commit of a hub, and a volume, a folder or an image has none: remove one of them",
        ),
        (
            f"!has(self.basedOn) || self.basedOn.matches('{_HUB_ID}')",
            "model.basedOn must be the id of a model in the catalog, such as Qwen/Qwen3-Reranker-0.6B",
        ),
    )
    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Hugging Face id of the model. It is also the name under which /v1/rerank knows the model."
    )
    based_on: schema.Optional[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        None,
        description="Id of the catalog's model that this one was made from (a fine-tune, a copy): it is served alike. "
        "Default: `name` itself.",
    )
    revision: schema.Optional[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        None,
        description="Commit, tag or branch of the model. Pin a commit: a branch can change under you. Default: the "
        "commit that the catalog knows, else the branch main.",
    )
    max_length: schema.Optional[schema.conint(ge=16, le=1048576)] = Field(
        None, description="Tokens per query and document pair (--max-model-len). Default: what the model allows."
    )
    source: schema.Optional[ModelSource] = Field(None, description="Where the model comes from. Default: the hub.")
    trust_remote_code: bool = Field(
        False, description="Run Python code from the model repository. Read that code first, and pin model.revision."
    )
