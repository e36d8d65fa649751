"""The result of a command: done with its changes, or refused with a reason. There is no third result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from schemas.actors import TargetCommand

Reason = Literal[
    "not_permitted",
    "not_found",
    "invalid",
    "contact_blocked",
    "contact_deleted",
    "same_contact",
    "too_late",
    "count_differs",
    "already_final",
    "needs_second_person",
    "not_supported",
]


@dataclass(frozen=True, slots=True)
class Done:
    """`changed` is empty if everything already was as requested, or if a later command was applied before."""

    changed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """`detail` is for people: which field, which shape came, which one fits. It shows no content, address or id."""

    reason: Reason
    detail: str


Result = Done | Refused

NO_PROFILE: Final = Refused("not_found", "`profile_id`: this workspace has no profile with this id")


def nobody(command: TargetCommand) -> Refused:
    """The refusal if the target of a command is no contact."""
    if command.contact_id is not None:
        return Refused("not_found", "`contact_id`: this workspace has no contact with this id")
    return Refused("not_found", "`identity`: no contact of this workspace has this address on this channel")
