"""What can go wrong with the test clusters; each message ends with a remedy."""


class ClusterError(Exception):
    """Base of the errors of this package; the message can be shown to a person as it is."""


class MissingBinaryError(ClusterError):
    """A program of the test clusters has not been built yet."""


class BuildError(ClusterError):
    """A compiler failed."""


class StartError(ClusterError):
    """A process ended or did not become ready in time; the message carries the end of its log."""


class KubectlError(ClusterError):
    """A kubectl command failed; the message carries what it printed to stderr."""


class LeftoverError(ClusterError):
    """Something of the node is still there after it was taken down."""
