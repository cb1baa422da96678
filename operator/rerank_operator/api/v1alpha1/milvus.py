"""`spec.access`, `milvus` and `publish`: who calls the model, and what is published for whom."""

from typing import Annotated

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.addresses import Endpoint, endpoint_rule
from rerank_operator.api.v1alpha1.fields import LIST_SET, LocalRef, Name, SecretKeyRef, Words, strict
from rerank_operator.api.v1alpha1.network import CaBundle


class Access(schema.BaseModel):
    """Who may call the model pods."""

    model_config = strict()
    bearer_secret_ref: schema.Optional[LocalRef] = Field(
        None,
        description="Secret with the keys of callers: each line of each of its values is a key. Every route then needs "
        "one as `Authorization: Bearer`, except /health, /metrics and /ready. Changed keys count within two minutes, "
        "without a restart. With external: the key that the endpoint asks for.",
    )


class MilvusCheck(Words):
    """What is done with a Milvus that can be reached."""

    VERSION = "Version"
    SEARCH = "Search"


class MilvusTls(schema.BaseModel):
    """How Milvus and the operator prove to each other who they are."""

    model_config = strict()
    ca_bundle: schema.Optional[CaBundle] = Field(
        None, description="ConfigMap with the certificates to trust. Default: those in the operator's image."
    )
    server_name: schema.Optional[Name] = Field(
        None, description="Name in Milvus's certificate. Default: the host of the uri."
    )
    client_secret_ref: schema.Optional[LocalRef] = Field(
        None,
        description="Secret of type kubernetes.io/tls with the operator's own certificate (tls.crt and tls.key), for a "
        "Milvus that asks for one (tlsMode 2). Default: none is shown.",
    )


class MilvusConnection(schema.BaseModel):
    """A Milvus in which the operator proves that a search is reranked."""

    model_config = strict(
        (
            r"self.uri.matches('^https?://[^/?#@\\s]+$')",
            (
                "milvus.connection.uri must be http(s)://HOST[:PORT], such as http://milvus.milvus.svc:19530; the "
                "token belongs into the Secret of tokenSecretRef"
            ),
        ),
        (
            "!has(self.tls) || self.uri.startsWith('https://')",
            "milvus.connection.tls needs a uri that begins with https://",
        ),
    )
    uri: Annotated[str, Field(min_length=1, max_length=2048)] = Field(
        description="Address of Milvus. The host must be a Service of this namespace, or one that the operator's "
        "settings allow."
    )
    token_secret_ref: schema.Optional[SecretKeyRef] = Field(
        None, description="Secret with the token: user:password, or an API key. Default: none is sent."
    )
    database: schema.Optional[Name] = Field(
        None, description="Database for the temporary collection. Default: Milvus's default."
    )
    tls: schema.Optional[MilvusTls] = Field(None, description="For a uri with https.")
    check: MilvusCheck = Field(
        MilvusCheck.SEARCH,
        description="Search: create a small collection, search it with the published function, and drop it. Version: "
        "only read the version.",
    )
    interval_seconds: schema.conint(ge=60, le=86400) = Field(
        3600, description="How often a search that was right is tried again."
    )
    timeout_seconds: schema.conint(ge=5, le=300) = Field(60, description="How long the whole check may take.")


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
        (
            "!has(self.version) || self.version.matches('^v?[0-9]+[.][0-9]+([.][0-9]+)?([-+].*)?$')",
            "milvus.version must be a Milvus version, such as 2.6.6 or 3.0",
        ),
        (
            "!has(self.requireVerified) || !self.requireVerified || has(self.connection)",
            "milvus.requireVerified needs milvus.connection: without one nobody can ask Milvus",
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
    version: schema.Optional[Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        None,
        description="Version of Milvus, for what only some versions know. Default: what connection finds, else params "
        "that every version since 2.6.0 takes.",
    )
    timeout_milliseconds: schema.Optional[schema.conint(ge=100, le=600000)] = Field(
        None, description="How long Milvus waits for the model (timeout_ms), from Milvus 3.0 on. Default: 30 seconds."
    )
    connection: schema.Optional[MilvusConnection] = Field(
        None, description="A Milvus to try the published function in. Default: Milvus is not called."
    )
    require_verified: bool = Field(
        False, description="Publish only what a search in that Milvus was reranked with. Default: publish, and tell."
    )


class Publish(schema.BaseModel):
    """The ConfigMap that applications read."""

    model_config = strict(
        (
            "!has(self.configMapName) || self.configMapName.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
            "publish.configMapName must be lower-case letters, digits, dashes and dots, such as bge-milvus",
        ),
        endpoint_rule("endpoint", "publish.endpoint"),
    )
    config_map_name: schema.Optional[Name] = Field(None, description="Its name. Default: <name>-milvus.")
    endpoint: schema.Optional[Endpoint] = Field(
        None,
        description="Address that Milvus should call, where only you know it. Default: that of route, of the load "
        "balancer, or of the Service.",
    )
    namespaces: Annotated[list[Name], Field(max_length=64, json_schema_extra=LIST_SET)] = Field(
        default_factory=list,
        description="Namespaces that get a copy, if their annotation rerank-operator.io/accept-publications-from names "
        "the namespace of this resource.",
    )
    service_binding: bool = Field(
        False, description="Also publish a Secret in the form of Service Binding, named in status.binding."
    )
