"""Does a message make its contact active? (contract 5.2, 5.3)"""

from datetime import datetime

from workers.rules.cycles import Cycle, CycleSettings


def counts(
    *,
    cycle: Cycle,
    settings: CycleSettings,
    kind: str,
    channel_id: str,
    dropped: bool,
    block_start: datetime | None,
) -> bool:
    """`block_start`: begin of the block interval that holds the event time, if one does.

    `kind` is `message`, `reaction`, `echo`, `send` or `broadcast`. A dropped message still counts in the cycle that
    holds the begin of its block, or starts at it, unless the workspace excludes at once.
    """
    if channel_id in settings.uncounted_channels:
        return False
    if kind == "reaction" and not settings.count_reactions:
        return False
    if kind == "broadcast" and not settings.count_broadcasts:
        return False
    if kind == "echo":
        return block_start is None
    if dropped and block_start is not None:
        return settings.mac_block_effect == "next_cycle" and cycle.start <= block_start
    return True


def counted_already(counted_at: datetime | None, cycle: Cycle, at: datetime) -> bool:
    """A message of that time proves nothing new about a contact that `counted_at` says is counted in the cycle."""
    return counted_at is not None and cycle.start <= counted_at < cycle.end and counted_at < at


def counted_since(counted_at: datetime | None, cycle: Cycle, at: datetime) -> datetime:
    """What to remember once a message of that time counts: the earliest of the newest cycle."""
    if counted_at is None or counted_at < cycle.start:
        return at
    return min(counted_at, at) if counted_at < cycle.end else counted_at
