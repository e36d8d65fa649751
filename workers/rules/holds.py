"""Who answers a hold, and what later answers are told (contract 4.4). The first answer wins."""

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
    """It came after the hold's end: the hold ends now, and the answer is told so."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What was asked for is already so."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The answer does not count."""

    reason: Refusal


Standing = Open | Expired | Unchanged | Declined


def confirming(
    status: str, expires_at: datetime | None, now: datetime, *, requested_by: str, actor: str, two_person: bool
) -> Standing:
    """How a send stands to a person's yes."""
    if status in RELEASED:
        return Unchanged()
    standing = rejecting(status, expires_at, now)
    if isinstance(standing, Open) and two_person and actor == requested_by:
        return Declined("needs_second_person")
    return standing


def rejecting(status: str, expires_at: datetime | None, now: datetime) -> Standing:
    """How a send stands to a person's no; who asked for it may always take it back."""
    if status != "held":
        return Declined("already_final")
    if expires_at is not None and expires_at <= now:
        return Expired()
    return Open()
