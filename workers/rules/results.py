"""What becomes of a command: done with what it changed, or refused with a reason. There is no third thing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
    """`changed` is empty where everything already was as asked, or where a later command had been applied before."""

    changed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    reason: Reason


Result = Done | Refused
