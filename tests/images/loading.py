"""Put the images into the running test cluster, each only if it is not there yet."""

from rich.console import Console

from tests.cluster.images import import_archive, present_images
from tests.images import engine
from tests.images.apps import ensure_apps_archive
from tests.images.operator import ensure_operator_archive


def load_operator(console: Console | None = None) -> str:
    """Build the operator's image of the present sources, import it, and return its name.

    Raises ImageBuildError, or ClusterError if no cluster runs.
    """
    image = ensure_operator_archive(console)
    import_archive(image.archive)
    return image.reference


def load_apps(console: Console | None = None) -> str:
    """Build the image of the documented applications, import it, and return its name.

    Raises ImageBuildError, or ClusterError if no cluster runs.
    """
    image = ensure_apps_archive(console)
    import_archive(image.archive)
    return image.reference


def load_engine(console: Console | None = None) -> str:
    """Import the engine's image and return its name. The archive is not kept: the cluster's store has it.

    Raises the errors of `engine.ensure_engine_archive`, or ClusterError if no cluster runs.
    """
    digest = engine.known_digest()
    if digest is None or digest != present_images().get(engine.REFERENCE):
        import_archive(engine.ensure_engine_archive(console).archive)
    engine.discard_archive()
    return engine.REFERENCE
