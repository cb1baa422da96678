"""How model pods reach what is outside the cluster: a proxy, and certificates that only you know."""

from typing import Annotated, Final

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api.v1alpha1.fields import Name, Text, strict

_PROXY_URL: Final = "^https?://[^/@ ]+/?$"


def _url_rule(field: str) -> tuple[str, str]:
    return (
        f"!has(self.{field}) || self.{field}.matches('{_PROXY_URL}')",
        (
            f"engine.proxy.{field} must be a URL such as http://proxy.example.com:3128; one with a password goes into "
            f"a Secret as {field.upper()}_PROXY, which engine.envFrom names"
        ),
    )


class Proxy(schema.BaseModel):
    """The proxy through which model pods reach a hub; in capital and in small letters, as programs differ."""

    model_config = strict(_url_rule("http"), _url_rule("https"))
    http: schema.Optional[Annotated[str, Field(max_length=2048)]] = Field(
        None, description="For http:// addresses (HTTP_PROXY)."
    )
    https: schema.Optional[Annotated[str, Field(max_length=2048)]] = Field(
        None, description="For https:// addresses (HTTPS_PROXY)."
    )
    no_proxy: schema.Optional[Text] = Field(
        None, description="Hosts and domains that are reached directly, separated by commas (NO_PROXY)."
    )


class CaBundle(schema.BaseModel):
    """Certificates that the pods trust instead of those in the image."""

    model_config = strict()
    config_map_name: Name = Field(description="Name of the ConfigMap.")
    key: Name = Field(
        "ca.crt", description="Key that holds the certificates (PEM); the public ones too, where a public host is used."
    )
