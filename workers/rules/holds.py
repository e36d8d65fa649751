"""Which answer to a hold counts, and the results of later ones (contract 4.4). The first answer wins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

RELEASED: Final = frozenset({"released", "dispatched", "sent", "delivered", "read", "failed", "ambiguous"})

Refusal = Literal["already_final", "needs_second_person"]


@dataclass(frozen=True, slots=True)
class Open:
    """The answer counts."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The answer came after the hold's end: the hold expires now, and the result says so."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The hold already has the requested result."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The answer does not count; `detail` says why, for people."""

    reason: Refusal
    detail: str


HoldState = Open | Expired | Unchanged | Declined


def confirming(
    status: str, expires_at: datetime | None, now: datetime, *, requested_by: str, actor: str, two_person: bool
) -> HoldState:
    """The effect of a confirmation on a send."""
    if status in RELEASED:
        return Unchanged()
    standing = rejecting(status, expires_at, now)
    if isinstance(standing, Open) and two_person and actor == requested_by:
        return Declined(
            "needs_second_person",
            "`actor`: `two_person_confirm` is set, so another person than the requester must confirm the send",
        )
    return standing


def rejecting(status: str, expires_at: datetime | None, now: datetime) -> HoldState:
    """The effect of a rejection on a send. Its requester may always reject it."""
    if status != "held":
        return Declined("already_final", f"the send is `{status}`: expected a held one")
    if expires_at is not None and expires_at <= now:
        return Expired()
    return Open()
