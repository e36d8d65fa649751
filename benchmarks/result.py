"""Results of measurements."""

import msgspec


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of one side. `rate` is in records a second; CPU in seconds per 100,000 records, of the side's
    processes, PostgreSQL and the broker; WAL and disk in bytes per record; `memory` is a process's peak in MB.

    `others` is the rate of the contacts that do not flood. `samples` are (seconds, records done by then).
    """

    side: str
    round: int
    records: int
    seconds: float
    rate: float
    worker_cpu: float
    postgres_cpu: float
    kafka_cpu: float
    wal: float
    disk: float
    memory: float
    others: float | None = None
    samples: list[tuple[float, int]] = msgspec.field(default_factory=list)


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of how long records take, in milliseconds, from produced to readable."""

    side: str
    round: int
    records: int
    p50: float
    p99: float
    p999: float
    worst: float
    worker_cpu: float
    """In percent of one core."""


Result = Throughput | Latency
