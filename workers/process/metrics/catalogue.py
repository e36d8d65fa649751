"""All metrics, in the order of `docs/metrics.md`. Processes do not import this: they show only their own."""

from typing import Final

from workers.process.metrics.kinds import Section
from workers.process.metrics.of_processes import PROCESSES
from workers.process.metrics.of_receivers import RECEIVERS
from workers.process.metrics.of_requests import SERVING
from workers.process.metrics.of_senders import SENDERS
from workers.process.metrics.of_state import STATE
from workers.process.metrics.of_workers import WORKERS

SECTIONS: Final[tuple[Section, ...]] = (WORKERS, STATE, PROCESSES, SERVING, RECEIVERS, SENDERS)
