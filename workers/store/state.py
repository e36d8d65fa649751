"""The state of the whole installation in numbers, for metrics. Each question reads a bounded number of rows."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from workers.store.closing import delay_s
from workers.store.connection import Connection
from workers.store.queries import load

MOST: Final = 10_001
"""Rows are counted up to this number: then there are more than 10,000."""

_SQL = load("state")


class Waiting(NamedTuple):
    """How many rows of a kind wait, and the age of the oldest in seconds."""

    number: int
    oldest_s: float


class Verified(NamedTuple):
    """What the last verification of all counts found; when it was, in seconds since 1970."""

    differences: int
    workspaces: int
    at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Numbers at one moment, `at`, in seconds since 1970 by the database's clock. Ages are in seconds.

    `unpublished` is by kind, `unread` and `unheld` by input topic, `letters` by topic and reason, `pending` by kind.
    """

    at: float
    oldest_unpublished_s: float
    unpublished: dict[str, int]
    unread: dict[str, int]
    unheld: dict[str, int]
    holds: Waiting
    ambiguous: int
    parked: int
    quarantine: int
    letters: dict[tuple[str, str], Waiting]
    pending: dict[str, Waiting]
    closing_delay_s: float
    verified: Verified | None


async def measure(tx: Connection) -> State:
    """Measures the state."""

    async def numbers(name: str, *arguments: int) -> dict[str, int]:
        return dict(await tx.fetch(_SQL[name], *arguments))

    verified = await tx.fetchrow(_SQL["verified"])
    return State(
        at=float(await tx.fetchval(_SQL["now"])),
        oldest_unpublished_s=float(await tx.fetchval(_SQL["oldest_unpublished"])),
        unpublished=await numbers("unpublished", MOST),
        unread=await numbers("unread"),
        unheld=await numbers("unheld"),
        holds=Waiting(await tx.fetchval(_SQL["holds"], MOST), float(await tx.fetchval(_SQL["oldest_hold"], MOST))),
        ambiguous=await tx.fetchval(_SQL["ambiguous"], MOST),
        parked=await tx.fetchval(_SQL["parked"], MOST),
        quarantine=await tx.fetchval(_SQL["quarantine"], MOST),
        letters={
            (topic, reason): Waiting(number, float(oldest_s))
            for topic, reason, number, oldest_s in await tx.fetch(_SQL["new_letters"], MOST)
        },
        pending={
            kind: Waiting(number, float(oldest_s))
            for kind, number, oldest_s in await tx.fetch(_SQL["pending_work"], MOST)
        },
        closing_delay_s=await delay_s(tx),
        verified=None if verified is None else Verified(verified[0], verified[1], _seconds(verified[2])),
    )


def _seconds(found: object) -> float | None:
    return None if found is None else float(str(found))
