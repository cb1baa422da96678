"""The versions of the cluster's programs. The go.mod files name them again; a unit test compares."""

KUBERNETES = "1.36.3"
ETCD = "3.6.16"
COREDNS = "1.14.3"
HELM = "4.2.4"
