"""The raw figures of a benchmark, as they go into the JSON file. Seconds, MiB and counts; nothing is judged here."""

from pydantic import BaseModel

Counts = dict[str, int]
"""How often, by verb and resource: {"create deployments": 50}."""


class Floor(BaseModel, frozen=True):
    """The same objects written by a bare loop with no operator there, and the pods that come from them."""

    written_seconds: float
    """From the first request until every object was written."""
    ready_seconds: float
    """From the first request until every pod was ready as well."""


class Burst(BaseModel, frozen=True):
    """From the first create request for a reranker until all of them are Ready."""

    workloads_seconds: float
    """Until the last Deployment was created."""
    ready_seconds: float
    writes: Counts
    reads: Counts
    """GET and LIST requests of the operator's own client."""
    kopf_requests: Counts
    """Everything that kopf asked besides; its watches are not in the audit log."""
    cpu_seconds: float
    published_seconds: list[float]
    """For each reranker the time from its pod being ready to its ConfigMap being there."""


class Window(BaseModel, frozen=True):
    """Some seconds in which nothing changes from outside."""

    seconds: float
    writes: Counts
    cpu_seconds: float


class Drift(BaseModel, frozen=True):
    """Seconds until the operator had put something back, one value per trial."""

    deleted_deployment: list[float]
    added_argument: list[float]


class Measurement(BaseModel, frozen=True):
    """Everything that one size gives."""

    rerankers: int
    load_average_before: float
    """Mean number of running processes in the minute before, 0 on a quiet machine."""
    floor: Floor
    burst: Burst
    quiet: Window
    restart: Window
    stop_seconds: float
    """From SIGTERM to the end of the process, with everything converged."""
    drift: Drift
    idle_mib: float
    max_mib: float
    """The most that the operator ever held, in the burst or after its restart."""


class Machine(BaseModel, frozen=True):
    """Where and with what a benchmark ran."""

    date: str
    processors: int
    versions: dict[str, str]
