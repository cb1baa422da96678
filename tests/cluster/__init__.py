"""Real Kubernetes for the tests: a bare control plane, and a node that runs pods.

`control_plane` is etcd, API server and controllers on loopback, a few seconds to start, several at once.
`node` is the one full cluster of this machine, in namespaces of its own. `python -m tests.cluster` builds
what both need and drives the node.
"""
