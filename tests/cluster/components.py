"""The command lines of the cluster's servers, shared by the bare control plane and the node."""

from dataclasses import dataclass
from pathlib import Path

SERVICE_ISSUER = "https://kubernetes.default.svc"


@dataclass(frozen=True)
class ApiServer:
    """What differs between one API server and another."""

    address: str
    """Where it listens."""
    port: int
    advertised: str
    """The address that pods use; never loopback. Without a default route it cannot guess one."""
    etcd_port: int
    service_range: str
    authorization: str
    pki: Path
    audit_policy: Path
    audit_log: Path


def etcd_flags(data: Path, client_port: int, peer_port: int) -> list[str]:
    """Return the flags of an etcd on loopback that may lose its data when the machine stops."""
    client, peer = (f"http://127.0.0.1:{port}" for port in (client_port, peer_port))
    return [
        f"--data-dir={data}",
        "--name=test",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=test={peer}",
        "--unsafe-no-fsync",
        # A single member elects itself after one timeout; the default makes every start a second longer.
        "--heartbeat-interval=10",
        "--election-timeout=50",
        "--log-level=warn",
    ]


def api_server_flags(server: ApiServer) -> list[str]:
    """Return the flags of an API server; the certificates are where `Authority` put them."""
    pki = server.pki
    return [
        f"--etcd-servers=http://127.0.0.1:{server.etcd_port}",
        f"--bind-address={server.address}",
        f"--secure-port={server.port}",
        f"--advertise-address={server.advertised}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'api-server.crt'}",
        f"--tls-private-key-file={pki / 'api-server.key'}",
        f"--service-account-key-file={pki / 'service-accounts.crt'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--service-account-issuer={SERVICE_ISSUER}",
        f"--service-cluster-ip-range={server.service_range}",
        f"--authorization-mode={server.authorization}",
        "--allow-privileged=true",
        f"--audit-policy-file={server.audit_policy}",
        f"--audit-log-path={server.audit_log}",
        "--audit-log-maxsize=4000",
        # Benchmarks measure the operator, not how this server rations itself.
        "--max-requests-inflight=3000",
        "--max-mutating-requests-inflight=1500",
        "--profiling=false",
    ]
