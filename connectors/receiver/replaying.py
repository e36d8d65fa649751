"""Maps the webhooks of `webhooks.unmapped` again, with the version that runs.

They were verified when they came, and what is produced has the ids that it would have had then: what is there already
changes nothing. The topic stays as it is.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from connectors.provider import Channel
from connectors.reading import reader
from connectors.receiver.judging import understood
from connectors.receiver.unmapped import channel_key, is_reference, webhook_of
from schemas.building import INBOUND, RECEIPTS
from schemas.topics import UNMAPPED
from workers.app.settings import Settings
from workers.errors import Unreachable
from workers.process.production import Headers, Produced, Production

_MOST_ERRORS: Final = 5
_MOST_DIFFERENT_ERRORS: Final = 1_000
_MOST_CHANNELS: Final = 10_000
_OTHERS: Final = "others"
_SILENT_S: Final = 30.0

Fate = Literal["mapped", "unmapped", "unknown", "reference"]


@dataclass(slots=True)
class Tally:
    """What became of the webhooks of one channel. `unknown`: the channels file has no such channel, or it has another
    provider now. `references`: the body was too large to keep. `records`: what mapping them gave.
    """

    provider: str | None
    fates: Counter[Fate] = field(default_factory=Counter)
    records: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def row(self, place: str) -> dict[str, Any]:
        """The same for people and machines: the most frequent errors are named."""
        return {
            "channel": place,
            "provider": self.provider,
            "webhooks": self.fates.total(),
            "mapped": self.fates["mapped"],
            "records": self.records,
            "unmapped": self.fates["unmapped"],
            "unknown": self.fates["unknown"],
            "references": self.fates["reference"],
            "errors": [error for error, _ in self.errors.most_common(_MOST_ERRORS)],
        }


class Replay:
    """Maps webhooks of these channels again and counts what became of them. With `only`, others are passed over."""

    def __init__(self, channels: Sequence[Channel], *, only: bool) -> None:
        self._channels = {channel_key(channel): channel for channel in channels}
        self._only = only
        self._tallies: dict[str, Tally] = {}

    def rows(self) -> list[dict[str, Any]]:
        """A row for each channel, by name."""
        return [tally.row(place) for place, tally in sorted(self._tallies.items())]

    def take(self, key: bytes, value: bytes, headers: Headers, recorded_at: datetime) -> list[Produced]:
        """What a webhook says now. `recorded_at`, Kafka's time, counts if the record does not say when it came.

        Events about another account of the same app are left out: its own channel has a record of the webhook, if it
        was not understood.
        """
        channel = self._channels.get(key)
        if channel is None and self._only:
            return []
        told = {name: content.decode("utf-8", "replace") for name, content in headers}
        provider = told.get("provider")
        tally = self._tally(key, provider)
        if channel is None or provider not in (None, channel.provider.name):
            tally.fates["unknown"] += 1
            return []
        if is_reference(value):
            tally.fates["reference"] += 1
            return []
        webhook = webhook_of(value, headers)
        found = understood(channel, webhook, _moment(told.get("received_at"), recorded_at))
        tally.fates["unmapped" if found.errors else "mapped"] += 1
        tally.records += len(found.records)
        if len(tally.errors) < _MOST_DIFFERENT_ERRORS:
            tally.errors.update(set(found.errors))
        return [Produced(record) for record in found.records]

    def _tally(self, key: bytes, provider: str | None) -> Tally:
        place = key.decode("utf-8", "replace").replace(":", "/", 1)
        if place not in self._tallies and len(self._tallies) >= _MOST_CHANNELS:
            place = _OTHERS
        return self._tallies.setdefault(place, Tally(provider))


def _moment(text: str | None, otherwise: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return otherwise
    return found if found.tzinfo is not None else otherwise


async def replayed(
    settings: Settings,
    replay: Replay,
    since: datetime | None,
    *,
    dry_run: bool,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Takes what the topic holds now, from a Kafka timestamp on, and produces what it says unless `dry_run`. Calls
    `tell` with the number of webhooks read so far.

    Raises:
        SetupError: topics or rights are missing.
        Unreachable: Kafka did not go on.
        AWAY: Kafka does not answer. What was produced before stays.
    """
    production = Production(settings.kafka(), "replay")
    try:
        await production.check_topics((INBOUND, RECEIPTS, UNMAPPED.name))
        async with reader(settings, [UNMAPPED.name], "replay") as topic:
            await topic.begin_at(since)
            await _read(topic, replay, production if not dry_run else None, tell)
    finally:
        await production.stop()


async def _read(topic: Any, replay: Replay, production: Production | None, tell: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    count, heard_at = 0, loop.time()
    while not await topic.ended():
        records = await topic.poll()
        if records:
            heard_at = loop.time()
        elif loop.time() - heard_at > _SILENT_S:
            raise Unreachable(f"Kafka did not give all of {UNMAPPED.name}: nothing came for {_SILENT_S:g} s")
        for record in records:
            recorded_at = datetime.fromtimestamp(max(record.timestamp, 0) / 1000, UTC)
            headers = [(name, content or b"") for name, content in record.headers]
            produced = replay.take(record.key or b"", record.value or b"", headers, recorded_at)
            if production is not None and produced:
                await production.produce(produced)
            count += 1
            tell(count)
