"""Shows the state of the whole installation as metrics. A job, so that one process at a time asks the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from workers.process.metrics import of_state as metrics
from workers.records import Event
from workers.services.job_runner import Job
from workers.store import state
from workers.store.connection import Connection
from workers.store.state import State, Waiting

EVERY_S: Final = 10.0
"""Less than a lease lasts: so the process that measures keeps measuring, and its values do not appear twice."""
MOST_REASONS: Final = 50
"""Topics and reasons of dead letters that are shown apart; the rest is one."""
OTHER: Final = "other"


async def measure(tx: Connection, _now: datetime) -> Sequence[Event]:
    """Measures the state and shows it."""
    show(await state.measure(tx))
    return ()


def show(measured: State) -> None:
    """Replaces what the metrics of the state show."""
    letters = _bounded(measured.letters)
    metrics.MEASURED.show({(): measured.at})
    metrics.OLDEST_OUTPUT.show({(): measured.oldest_unpublished_s})
    metrics.UNPUBLISHED.show(_by_one(measured.unpublished))
    metrics.UNREAD.show(_by_one(measured.unread))
    metrics.UNHELD.show(_by_one(measured.unheld))
    metrics.HOLDS.show({(): measured.holds.number})
    metrics.OLDEST_HOLD.show({(): measured.holds.oldest_s})
    metrics.AMBIGUOUS.show({(): measured.ambiguous})
    metrics.PARKED.show({(): measured.parked})
    metrics.QUARANTINE.show({(): measured.quarantine})
    metrics.LETTERS.show({labels: waiting.number for labels, waiting in letters.items()})
    metrics.OLDEST_LETTER.show({labels: waiting.oldest_s for labels, waiting in letters.items()})
    metrics.PENDING.show({(kind,): waiting.number for kind, waiting in measured.pending.items()})
    metrics.OLDEST_PENDING.show({(kind,): waiting.oldest_s for kind, waiting in measured.pending.items()})
    metrics.CLOSING_DELAY.show({(): measured.closing_delay_s})
    if measured.verified is not None:
        metrics.DIFFERENCES.show({(): measured.verified.differences})
        metrics.DIFFERING.show({(): measured.verified.workspaces})
        metrics.VERIFIED.show({} if measured.verified.at is None else {(): measured.verified.at})


def _by_one(numbers: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(label,): number for label, number in numbers.items()}


def _bounded(letters: Mapping[tuple[str, str], Waiting]) -> dict[tuple[str, ...], Waiting]:
    """Those of the first labels, and of each topic the others as one."""
    shown: dict[tuple[str, ...], Waiting] = {}
    for n, ((topic, reason), waiting) in enumerate(letters.items()):
        labels = topic, reason if n < MOST_REASONS else OTHER
        known = shown.get(labels, Waiting(0, 0.0))
        shown[labels] = Waiting(known.number + waiting.number, max(known.oldest_s, waiting.oldest_s))
    return shown


JOBS: Final = (Job("measure the state", EVERY_S, measure),)
