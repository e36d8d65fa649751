"""The settings of a workspace that hold at once (contract 2, configure_workspace)."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from workers.rules.cycles import Setting


@dataclass(frozen=True, slots=True)
class Policies:
    """Values with their defaults; hours and days are whole numbers."""

    default_region: str | None = None
    quarantine_days: int = 7
    hold_ttl_hours: int = 72
    merge_undo_hours: int = 24
    two_person_confirm: bool = False


NAMES = frozenset(f.name for f in fields(Policies))


def policies_of(settings: Iterable[Setting]) -> Policies:
    """Of each name the value that was issued last."""
    ordered = sorted(settings, key=lambda s: (s.issued_at, s.command_id.bytes))
    return replace(Policies(), **{s.name: s.value for s in ordered if not s.channel_id and s.name in NAMES})
