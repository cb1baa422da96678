"""Container images without a registry: a Debian base, the operator from its Dockerfile, the real engine.

Each is an OCI archive in the cache, named by what it was made from; `tests.cluster.images` imports it.
Names start with `localhost/`, since a kubelet takes other short names for ones of a public registry.
"""
