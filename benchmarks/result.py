"""One measurement."""

import resource
import time

import msgspec


class Result(msgspec.Struct, frozen=True):
    """`rate` in messages a second, `cpu` in seconds of this process per 100,000 messages, `memory` its peak in MB."""

    name: str
    messages: int
    seconds: float
    rate: float
    cpu: float
    memory: float


def finished(name: str, messages: int, started: float, cpu_started: float) -> Result:
    """The measurement that began at `started` (perf_counter) and `cpu_started` (process_time)."""
    seconds = time.perf_counter() - started
    cpu = (time.process_time() - cpu_started) / messages * 100_000
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Result(name, messages, round(seconds, 3), round(messages / seconds), round(cpu, 2), round(memory, 1))
