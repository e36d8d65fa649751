"""`sluice channels replay`: maps again what a receiver did not understand, and says how far it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from connectors.provider import Channel
from connectors.receiver import replaying
from workers.app.settings import Settings
from workers.cli.progress_line import Progress
from workers.kafka.brokers import reached
from workers.kafka.failures import answers_explained


class Wanted(NamedTuple):
    """What to map again. `only`: webhooks of other channels are passed over. `since` is a Kafka timestamp."""

    channels: Sequence[Channel]
    only: bool
    since: datetime | None
    dry_run: bool


async def replayed(settings: Settings, wanted: Wanted) -> list[dict[str, Any]]:
    """A row for each channel: what became of its webhooks.

    Raises:
        SetupError: topics or rights are missing.
        Unreachable: Kafka does not answer. What was produced before stays, and does no harm when it comes again.
    """
    cluster = settings.kafka()
    replay = replaying.Replay(wanted.channels, only=wanted.only)
    progress = Progress("webhooks of webhooks.unmapped")
    with answers_explained(cluster):
        await reached(cluster)
        await replaying.replayed(settings, replay, wanted.since, dry_run=wanted.dry_run, tell=progress.show)
    rows = replay.rows()
    progress.show(sum(row["webhooks"] for row in rows), end=True)
    return rows
