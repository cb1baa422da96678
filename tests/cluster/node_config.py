"""The files and command lines of the node's servers. Pure: everything follows from where its state lies."""

from dataclasses import dataclass
from pathlib import Path
from string import Template

from tests.cluster import network
from tests.cluster.binaries import binary
from tests.cluster.cgroups import CGROUP
from tests.cluster.components import ApiServer, api_server_flags, etcd_flags
from tests.cluster.images import CONTAINERD_SOCKET, COREDNS_IMAGE, PAUSE_IMAGE

API_PORT = 6443
URL = f"https://{network.NODE_ADDRESS}:{API_PORT}"
GPU_COUNT = 2
_ETCD_PORT, _ETCD_PEER_PORT = 2379, 2380
_TEMPLATES = Path(__file__).parent / "config"
_CNI_PLUGIN_FOLDERS = (Path("/usr/lib/cni"), Path("/usr/libexec/cni"), Path("/opt/cni/bin"))
_RENDERED = {
    "audit-policy.yaml": "audit-policy.yaml",
    "bridge.conflist": "cni/10-bridge.conflist",
    "containerd-without-kubernetes.toml": "containerd-without-kubernetes.toml",
    "containerd.toml": "containerd.toml",
    "coredns.yaml": "coredns.yaml",
    "kube-proxy.yaml": "kube-proxy.yaml",
    "kubelet.yaml": "kubelet.yaml",
}


@dataclass(frozen=True)
class NodeFolders:
    """Where a node keeps what."""

    state: Path
    """All that belongs to one life of the cluster."""
    image_store: Path
    """Containerd's, which outlives the cluster."""

    @property
    def pki(self) -> Path:
        """Return the folder of certificates and kubeconfigs."""
        return self.state / "pki"

    @property
    def config(self) -> Path:
        """Return the folder of the rendered settings."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """Return the folder with one log for each server, and the containers' logs under `system/pods`."""
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        """Return the API server's audit log: one JSON object in each line."""
        return self.logs / "audit.log"

    @property
    def unhealthy_gpus(self) -> Path:
        """Return the file that names the GPUs which fakegpu reports as unhealthy."""
        return self.state / "unhealthy-gpus"


def rendered_files(folders: NodeFolders) -> dict[str, str]:
    """Return the settings of all servers, keyed by path under the config folder."""
    values = {
        "cgroup": CGROUP,
        "cni_plugins": str(_cni_plugins()),
        "config": str(folders.config),
        "containerd_socket": CONTAINERD_SOCKET,
        "coredns_image": COREDNS_IMAGE,
        "dns_address": network.DNS_ADDRESS,
        "image_store": str(folders.image_store),
        "node_address": network.NODE_ADDRESS,
        "node_name": network.NODE_NAME,
        "node_pod_range": network.NODE_POD_RANGE,
        "pause_image": PAUSE_IMAGE,
        "pki": str(folders.pki),
        "pod_range": network.POD_RANGE,
    }
    files = {target: Template((_TEMPLATES / name).read_text()).substitute(values) for name, target in _RENDERED.items()}
    return files | {"resolv.conf": ""}


def commands(folders: NodeFolders) -> dict[str, list[str]]:
    """Return the command line of each server, keyed by its name."""
    config = folders.config
    return {
        "etcd": [str(binary("etcd")), *etcd_flags(folders.state / "etcd", _ETCD_PORT, _ETCD_PEER_PORT)],
        "containerd": ["containerd", "--config", str(config / "containerd.toml")],
        "kube-apiserver": [str(binary("kube-apiserver")), *_api_server_flags(folders)],
        "kube-controller-manager": [
            str(binary("kube-controller-manager")),
            *_controller_manager_flags(folders),
        ],
        "kube-scheduler": [str(binary("kube-scheduler")), *_client_flags(folders, "kube-scheduler")],
        "kubelet": [
            str(binary("kubelet")),
            f"--config={config / 'kubelet.yaml'}",
            f"--kubeconfig={folders.pki / 'kubelet-client.kubeconfig'}",
            f"--hostname-override={network.NODE_NAME}",
            f"--node-ip={network.NODE_ADDRESS}",
        ],
        "kube-proxy": [str(binary("kube-proxy")), f"--config={config / 'kube-proxy.yaml'}"],
        "fakegpu": [
            str(binary("fakegpu")),
            f"-count={GPU_COUNT}",
            f"-unhealthy={folders.unhealthy_gpus}",
        ],
    }


def _api_server_flags(folders: NodeFolders) -> list[str]:
    pki = folders.pki
    server = ApiServer(
        address="0.0.0.0",
        port=API_PORT,
        advertised=network.NODE_ADDRESS,
        etcd_port=_ETCD_PORT,
        service_range=network.SERVICE_RANGE,
        authorization="Node,RBAC",
        pki=pki,
        audit_policy=folders.config / "audit-policy.yaml",
        audit_log=folders.audit_log,
    )
    return [
        *api_server_flags(server),
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'api-server-client.crt'}",
        f"--kubelet-client-key={pki / 'api-server-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={pki / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy.key'}",
    ]


def _controller_manager_flags(folders: NodeFolders) -> list[str]:
    pki = folders.pki
    return [
        *_client_flags(folders, "kube-controller-manager"),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'service-accounts.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={network.POD_RANGE}",
        f"--service-cluster-ip-range={network.SERVICE_RANGE}",
    ]


def _client_flags(folders: NodeFolders, name: str) -> list[str]:
    kubeconfig = folders.pki / f"{name}.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        # The defaults make the controllers wait five seconds for themselves while they start.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]


def _cni_plugins() -> Path:
    found = [folder for folder in _CNI_PLUGIN_FOLDERS if (folder / "bridge").exists()]
    return found[0] if found else _CNI_PLUGIN_FOLDERS[0]
