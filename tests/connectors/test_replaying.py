"""What was kept of a webhook gives later what it would have given when it came."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.provider import Channel, Webhook
from connectors.receiver.replaying import Replay
from connectors.receiver.unmapped import LARGEST, unmapped
from connectors.understanding import Understanding
from tests.connectors.test_vectors import NOW, named, webhook_of
from tests.connectors.vectors import channel_of
from workers.process.production import Produced

LATER: Final = NOW + timedelta(days=3)


def kept(channel: Channel, webhook: Webhook, now: datetime = NOW) -> Produced:
    return unmapped(channel, webhook, ["event: Expected more"], now)


def again(replay: Replay, produced: Produced, recorded_at: datetime = LATER) -> list[Produced]:
    return replay.take(produced.record.key, produced.record.value, produced.headers, recorded_at)


@named("webhooks")
def test_a_kept_webhook_gives_the_records_of_its_arrival(provider: str, case: Mapping[str, Any]) -> None:
    channel, found = channel_of(provider, **case.get("channel", {})), Understanding()
    webhook = webhook_of(case)
    channel.provider.understand(channel, webhook, found, NOW)

    replay = Replay([channel], only=False)
    assert again(replay, kept(channel, webhook)) == [Produced(record) for record in found.records]
    [row] = replay.rows()
    assert (row["mapped"], row["unmapped"]) == ((0, 1) if found.errors else (1, 0))
    assert set(row["errors"]) == set(found.errors[:5])
    assert row["records"] == len(found.records)


def test_what_cannot_be_mapped_is_counted_by_why() -> None:
    custom, telegram = channel_of("custom"), channel_of("telegram")
    replay = Replay([custom], only=False)
    events = b'{"events": [{"type": "message_status", "mId": "1", "status": {"value": "read"}}, {"type": "message"}]}'
    webhook = Webhook("POST", "", {}, events)

    assert len(again(replay, kept(custom, webhook))) == 1  # an event that is understood goes out beside one that is not
    assert again(replay, kept(custom, Webhook("POST", "", {}, b" " * (LARGEST + 1)))) == []
    assert again(replay, kept(telegram, webhook)) == []
    other = kept(custom, webhook)
    assert again(replay, other._replace(headers=[("provider", b"line"), *other.headers[1:]])) == []
    assert replay.take(b"\xff", b"", [], NOW) == []

    rows = {row["channel"]: row for row in replay.rows()}
    assert rows.keys() == {custom.place, telegram.place, "�"}
    told = rows[custom.place]
    counts = {name: told[name] for name in ("webhooks", "mapped", "unmapped", "references", "unknown")}
    assert counts == {"webhooks": 3, "mapped": 0, "unmapped": 1, "references": 1, "unknown": 1}
    assert told["errors"] == ["event: Expected the field `contactId`"]
    assert rows[telegram.place]["unknown"] == rows["�"]["unknown"] == 1


def test_other_channels_are_passed_over_if_some_are_chosen() -> None:
    replay = Replay([channel_of("custom")], only=True)
    assert again(replay, kept(channel_of("telegram"), Webhook("POST", "", {}, b"{}"))) == []
    assert replay.rows() == []


def test_a_record_that_does_not_say_when_it_came_came_when_kafka_got_it() -> None:
    channel = channel_of("twilio")
    body = (
        b"MessageSid=SM1&From=%2B4915112345678&To=%2B15005550006&Body=Hi&AccountSid="
        + channel.keys.account_sid.encode()
    )
    webhook = Webhook("POST", "", {"content-type": "application/x-www-form-urlencoded"}, body)
    whole = kept(channel, webhook)
    for told in (b"", b"yesterday", b"2026-12-01T10:00:00"):
        headers = [(name, told if name == "received_at" else content) for name, content in whole.headers]
        [produced] = again(
            Replay([channel], only=False), whole._replace(headers=headers), datetime(2027, 1, 1, tzinfo=UTC)
        )
        assert b'"received_at":"2027-01-01T00:00:00Z"' in produced.record.value
