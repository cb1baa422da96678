"""`spec.service`, `access`, `milvus` and `publish`: how Milvus reaches the model pods, and what is published."""

from typing import Annotated

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api import names
from rerank_operator.api.v1alpha1.fields import LocalRef, Name, strict


class ServiceSpec(schema.BaseModel):
    """The Service in front of the model pods."""

    model_config = strict()
    port: schema.conint(ge=1, le=65535) = Field(
        names.ENGINE_PORT, description="Port of the Service, part of the published endpoint."
    )


class Access(schema.BaseModel):
    """Who may call the model pods."""

    model_config = strict()
    bearer_secret_ref: schema.Optional[LocalRef] = Field(
        None,
        description="Secret with the keys of callers: each line of each of its values is a key. Every route then needs "
        "one as `Authorization: Bearer`, except /health, /metrics and /ready. Changed keys count within two minutes, "
        "without a restart.",
    )


class Milvus(schema.BaseModel):
    """What goes into the published Milvus function params."""

    model_config = strict(
        (
            "!has(self.maxClientBatchSize) || self.maxClientBatchSize >= 1",
            "milvus.maxClientBatchSize must be at least 1: with 0, Milvus 2.6.1 sends empty requests for ever",
        ),
        (
            "!has(self.truncatePromptTokens) || self.truncatePromptTokens == -1 || self.truncatePromptTokens >= 1",
            "milvus.truncatePromptTokens must be -1 (cut at the model's limit) or a number of tokens from 1 up",
        ),
    )
    input_field: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        "text", description="VARCHAR field of the collection that holds the text to rerank."
    )
    function_name: schema.Optional[Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        None, description="Name of the Milvus function. Default: the name of this resource."
    )
    max_client_batch_size: schema.conint(le=4096) = Field(
        256,
        description="Documents per request, lowered to what the model was measured to answer in ten seconds. A search "
        "with no more candidates than this is one request.",
    )
    credential_name: schema.Optional[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        None,
        description="Name of the credential in milvus.yaml that holds the key, where access.bearerSecretRef is set. "
        "Default: the name of this resource.",
    )
    truncate_prompt_tokens: schema.Optional[schema.conint(le=1048576)] = Field(
        None,
        description="Tokens to which a query and document pair is cut. Default: -1 (the model's limit), and nothing "
        "for models with a prompt template, because cutting their prompt makes every score worthless.",
    )


class Publish(schema.BaseModel):
    """The ConfigMap that applications read."""

    model_config = strict(
        (
            "!has(self.configMapName) || self.configMapName.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
            "publish.configMapName must be lower-case letters, digits, dashes and dots, such as bge-milvus",
        )
    )
    config_map_name: schema.Optional[Name] = Field(None, description="Its name. Default: <name>-milvus.")
