"""The settings of a workspace that take effect at once, not with the next cycle (contract 2, configure_workspace)."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from workers.rules.cycles import Setting


@dataclass(frozen=True, slots=True)
class Policies:
    """The settings with their defaults. None means not set."""

    close_grace_hours: int = 72
    mac_limit: int | None = None
    default_region: str | None = None
    quarantine_days: int = 7
    hold_ttl_hours: int = 72
    claim_ttl_hours: int = 24
    message_retention_days: int | None = None
    merge_undo_hours: int = 24
    two_person_confirm: bool = False

    @property
    def hold_for(self) -> timedelta:
        """How long a hold waits for an answer."""
        return timedelta(hours=self.hold_ttl_hours)

    def keeps(self, event_time: datetime, now: datetime) -> bool:
        """Whether the content of a message of that time is still kept at `now`."""
        days = self.message_retention_days
        return days is None or now - event_time <= timedelta(days=days)

    @property
    def claim_for(self) -> timedelta:
        """How long a dispatched attempt waits for a claim, and for a receipt."""
        return timedelta(hours=self.claim_ttl_hours)


NAMES = frozenset(f.name for f in fields(Policies))


def policies_of(settings: Iterable[Setting]) -> Policies:
    """Returns the latest issued value of each setting, or its default."""
    return replace(
        Policies(), **{s.name: s.value for s in _by_time_of_issue(settings) if not s.channel_id and s.name in NAMES}
    )


def regions_of(settings: Iterable[Setting]) -> dict[str, str | None]:
    """Returns the latest issued default region of each channel that has its own."""
    return {s.channel_id: s.value for s in _by_time_of_issue(settings) if s.channel_id and s.name == "default_region"}


def _by_time_of_issue(settings: Iterable[Setting]) -> list[Setting]:
    return sorted(settings, key=lambda s: (s.issued_at, s.command_id.bytes))
