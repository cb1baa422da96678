"""`spec.service`, `route` and `external`: under which address Milvus reaches the model."""

from typing import Annotated, Final

from kube_custom_resource import schema
from pydantic import Field

from rerank_operator.api import names
from rerank_operator.api.v1alpha1.fields import Name, Words, strict

# Milvus throws away what follows the host.
_ENDPOINT: Final = r"^https?://[^/?#@\\s]+$"
Endpoint = Annotated[str, Field(min_length=1, max_length=2048)]


def endpoint_rule(field: str, path: str) -> tuple[str, str]:
    """The address has a scheme and a host, and nothing that Milvus throws away or shows to everybody."""
    return (
        f"!has(self.{field}) || self.{field}.matches('{_ENDPOINT}')",
        (
            f"{path} must be http(s)://HOST[:PORT], without a path, a slash at the end, a user or a password: "
            "Milvus replaces the path with /rerank"
        ),
    )


class ServiceType(Words):
    """From where the Service can be reached."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class ServiceSpec(schema.BaseModel):
    """The Service in front of the model pods."""

    model_config = strict(
        (
            "!has(self.nodePort) || self.type != 'ClusterIP'",
            "service.nodePort needs service.type NodePort or LoadBalancer",
        ),
        (
            "(!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges)) || self.type == 'LoadBalancer'",
            "service.loadBalancerClass and loadBalancerSourceRanges need service.type LoadBalancer",
        ),
    )
    type: ServiceType = Field(
        ServiceType.CLUSTER_IP,
        description="ClusterIP: inside the cluster. NodePort: on each node too; name the address in publish.endpoint. "
        "LoadBalancer: the address of the load balancer is published once it has one.",
    )
    port: schema.conint(ge=1, le=65535) = Field(
        names.ENGINE_PORT, description="Port of the Service, part of the published endpoint."
    )
    node_port: schema.Optional[schema.conint(ge=1, le=65535)] = Field(
        None, description="Port on each node. Default: Kubernetes chooses one."
    )
    load_balancer_class: schema.Optional[Name] = Field(None, description="Class of the load balancer.")
    load_balancer_source_ranges: schema.Optional[
        Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=64)]
    ] = Field(None, description="Address ranges that may call the load balancer, such as 10.0.0.0/8.")
    annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of the Service, such as the one that keeps a balancer internal."
    )


class GatewayRef(schema.BaseModel):
    """A Gateway to which the HTTPRoute is attached."""

    model_config = strict()
    name: Name = Field(description="Name of the Gateway.")
    namespace: schema.Optional[Name] = Field(None, description="Its namespace. Default: that of this resource.")
    section_name: schema.Optional[Name] = Field(None, description="Name of one of its listeners. Default: all.")


class IngressSpec(schema.BaseModel):
    """An Ingress of the cluster's ingress controller."""

    model_config = strict()
    class_name: schema.Optional[Name] = Field(None, description="Ingress class. Default: the cluster's.")
    tls_secret_name: schema.Optional[Name] = Field(
        None, description="Secret with the certificate of the host name. Default: the controller's."
    )
    annotations: dict[str, str] = Field(
        default_factory=dict, description="Annotations of the Ingress, such as a longer timeout (Milvus waits 30 s)."
    )


class Route(schema.BaseModel):
    """A host name that leads to the Service, for a Milvus outside the cluster."""

    model_config = strict(
        (
            "has(self.gateway) != has(self.ingress)",
            "route takes gateway (an HTTPRoute) or ingress (an Ingress): give exactly one of them",
        ),
        (
            "self.hostname.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$')",
            "route.hostname must be a host name such as rerank.example.com: Milvus drops paths, so a path cannot do",
        ),
    )
    hostname: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Host name of this reranker alone."
    )
    tls: bool = Field(False, description="Publish https. Milvus trusts the certificates of its own image only.")
    port: schema.Optional[schema.conint(ge=1, le=65535)] = Field(
        None, description="Port of the gateway, in the published endpoint. Default: that of the scheme."
    )
    gateway: schema.Optional[GatewayRef] = Field(None, description="Make an HTTPRoute (Gateway API).")
    ingress: schema.Optional[IngressSpec] = Field(None, description="Make an Ingress.")


class External(schema.BaseModel):
    """A rerank server that somebody else runs."""

    model_config = strict(endpoint_rule("endpoint", "external.endpoint"))
    endpoint: Endpoint = Field(
        description="Its address, without a path. The host must be a Service of this namespace, or one that the "
        "operator's settings allow."
    )
