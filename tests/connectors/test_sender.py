"""The sender over a real broker: whatever a record holds or a provider's module does, the others are sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from connectors.provider import Answer, Call, Channel, Mail
from connectors.providers import PROVIDERS
from connectors.sender.attempts import Attempts
from connectors.sender.database import AttemptState, Claim, Database
from connectors.sender.dispatches import TOPIC, Dispatches
from connectors.sender.outcomes import Again, Tries, after, receipt_of
from connectors.sender.process import send
from schemas.building import RECEIPTS, receipt_record
from schemas.outputs import SendDispatch
from tests.connectors.test_any_input import JSON, mangled
from tests.connectors.test_vectors import dispatch
from tests.connectors.vectors import FILES, channel_of
from tests.support.brokers import Broker
from tests.support.databases import reader_of, sender_of
from tests.support.processes import settings_for
from workers.errors import SetupError
from workers.process.health import Health
from workers.process.production import Production

TELEGRAM: Final = channel_of("telegram")
PATIENCE_S: Final = 30.0


class Granting(Database):
    """Grants every claim: no worker of these tests has asked for the sends."""

    async def claim(self, send: SendDispatch) -> Claim:  # noqa: ARG002 - as its base
        return Claim(granted=True, reason=None)


class ClaimedBefore(Database):
    """Somebody else has claimed everything a moment ago, and has not reported yet."""

    async def claim(self, send: SendDispatch) -> Claim:  # noqa: ARG002 - as its base
        return Claim(granted=False, reason="already_claimed")

    async def attempt(self, send: SendDispatch) -> AttemptState | None:  # noqa: ARG002 - as its base
        return AttemptState("dispatched", 0.0)


class Taken:
    """Takes every call, and remembers its text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def deliver(self, _channel: Channel, call: Call | Mail) -> Answer:
        assert isinstance(call, Call)
        self.texts.append(json.loads(call.body)["text"])
        return Answer(200, {}, b'{"ok": true, "result": {"message_id": 1, "chat": {"id": 5}}}')


def record(text: str, **told: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "workspace_id": "acme",
        "send_id": str(UUID(int=int.from_bytes(text.encode()[:15]))),
        "attempt": 1,
        "channel_id": TELEGRAM.channel_id,
        "channel": "telegram",
        "contact_id": "00000000-0000-4000-8000-000000000001",
        "address": "5",
        "content": {"type": "text", "text": text},
        "source": "inbox",
        "group_id": None,
        "confirmation": None,
    }
    return whole | told


async def publish(broker: Broker, *records: Any) -> None:
    values = [json.dumps(one).encode() if isinstance(one, dict) else one for one in records]
    await broker.produce(TOPIC, [(b"acme:1", value) for value in values], partition=0)


@asynccontextmanager
async def sending(
    broker: Broker, channels: Sequence[Channel], claims: type[Database] = Granting
) -> AsyncIterator[Taken]:
    await broker.create(TOPIC, RECEIPTS)
    taken, stop = Taken(), asyncio.Event()
    told = settings_for("postgresql://nobody@127.0.0.1:9/none", broker)
    production = Production(told.kafka(), "test")
    dispatches = Dispatches(
        told, "g-send", channels, Attempts(claims(told.required_database_url()), production, taken, 5.0)
    )
    running = asyncio.create_task(dispatches.run(stop, lambda: None))
    try:
        yield taken
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)
        await production.stop()


async def receipts(broker: Broker, count: int) -> dict[str, tuple[str, str | None, bool]]:
    """Status, code and whether it is for good, by the text of the send."""
    found = {}
    for one in await broker.read(RECEIPTS, count):
        told = json.loads(one.value or b"")
        error = told.get("error") or {}
        text = UUID(told["send_id"]).int.to_bytes(16).strip(b"\0").decode()
        found[text] = told["status"], error.get("code"), bool(error.get("permanent"))
    return found


GOOD: Final = ("sent", None, False)


async def test_a_stop_does_not_wait_for_the_receipts_of_others(broker: Broker) -> None:
    loop = asyncio.get_running_loop()
    before = denied()
    async with sending(broker, [TELEGRAM], ClaimedBefore):
        await publish(broker, record("one"))
        async with asyncio.timeout(PATIENCE_S):
            while denied() == before:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
        began = loop.time()

    assert loop.time() - began < 10


def denied() -> float:
    return REGISTRY.get_sample_value("sluice_claims_denied_total", {"reason": "already_claimed"}) or 0.0


@pytest.mark.parametrize(
    ("function", "meant"),
    [
        ("request", ("failed", "fault", False)),
        ("sign", ("failed", "fault", False)),
        ("outcome", ("ambiguous", "fault", False)),
    ],
)
async def test_a_fault_of_ours_concerns_one_send(
    broker: Broker, function: str, meant: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def faulty(*given: Any) -> Any:
        asked.append(given)
        if len(asked) == 2:
            raise ZeroDivisionError(f"of {given!r}")
        usual = getattr(TELEGRAM.provider, function)
        return usual(*given) if usual else given[1]

    channel = replace(TELEGRAM, provider=replace(TELEGRAM.provider, **{function: faulty}))  # type: ignore[arg-type]
    async with sending(broker, [channel]) as taken:
        await publish(broker, *(record(text) for text in ("one", "bad", "two")))
        assert await receipts(broker, 3) == {"one": GOOD, "bad": meant, "two": GOOD}

    assert taken.texts == ["one", "two"] if function != "outcome" else ["one", "bad", "two"]
    logged = capsys.readouterr().out
    assert "ZeroDivisionError" in logged
    assert TELEGRAM.keys.bot_token.text not in logged


async def test_a_send_for_another_kind_of_channel_does_not_leave(broker: Broker) -> None:
    async with sending(broker, [TELEGRAM]) as taken:
        await publish(broker, record("mail", channel="email", address="ada@byron.example"), record("fits"))
        assert await receipts(broker, 2) == {"mail": ("failed", "another_channel", True), "fits": GOOD}

    assert taken.texts == ["fits"]


async def test_records_that_are_none_are_skipped(broker: Broker) -> None:
    def skipped(outcome: str) -> float:
        return REGISTRY.get_sample_value("sluice_dispatches_total", {"outcome": outcome}) or 0.0

    before = [skipped(outcome) for outcome in ("unreadable", "other_channel")]
    bad: list[Any] = [
        None,
        b"",
        b"\xff",
        b"null",
        b"[" * 900_000,
        b'{"a":' * 150_000,
        b"9" * 900_000,
        record("none") | {"attempt": 2**31},
        record("none") | {"attempt": 0},
        record("none") | {"attempt": -1},
        record("none") | {"attempt": 1.5},
        record("none") | {"send_id": "x"},
        record("none") | {"channel": "pigeon"},
        record("none") | {"content": None},
    ]
    others = [
        record("none", workspace_id="other"),
        record("none", channel_id="other"),
        record("none", workspace_id="acme\0", channel_id="x" * 900_000),
    ]
    async with sending(broker, [TELEGRAM]) as taken:
        await publish(broker, *bad, *others, record("good", unknown={"of": "a later version"}))
        assert await receipts(broker, 1) == {"good": GOOD}

    assert taken.texts == ["good"]
    assert [skipped(outcome) for outcome in ("unreadable", "other_channel")] == [before[0] + 14, before[1] + 3]
    assert await broker.committed("g-send", TOPIC) == {0: 18}


async def test_the_role_of_senders_suffices(broker: Broker, database: str) -> None:
    """A send that no worker knows is not claimed: nothing leaves, and nothing is left to do."""
    await broker.create(TOPIC, RECEIPTS)
    stop, ready = asyncio.Event(), asyncio.Event()
    told = settings_for(await sender_of(database), broker)
    running = asyncio.create_task(send(told, [TELEGRAM], "g-send", stop, Health(ready.set)))
    await asyncio.wait_for(ready.wait(), PATIENCE_S)
    await publish(broker, record("none"))
    async with asyncio.timeout(PATIENCE_S):
        while await broker.committed("g-send", TOPIC) != {0: 1}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(running, PATIENCE_S)
    assert await broker.read_all(RECEIPTS) == []


async def test_the_role_of_readers_does_not_suffice(broker: Broker, database: str) -> None:
    await broker.create(TOPIC, RECEIPTS)
    told = settings_for(await reader_of(database), broker)
    with pytest.raises(SetupError, match="sluice_sender"):
        await asyncio.wait_for(send(told, [TELEGRAM], "g-send", asyncio.Event()), PATIENCE_S)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_outcome_has_a_receipt_that_workers_can_read(provider: str, data: st.DataObject) -> None:
    channel = channel_of(provider)
    case = data.draw(st.sampled_from(FILES[provider]["answers"]))
    body = case["body"] if isinstance(case.get("body"), dict) else {}
    headers = st.sampled_from(["-1", "1e9", "9" * 30, "nan", "Tue, 01 Dec 9999 00:00:00 GMT", "", "\xff"])
    answer = Answer(
        data.draw(st.sampled_from([case["status"], 200, 400, 403, 429, 503])),
        {"retry-after": data.draw(headers), "date": "Tue, 01 Dec 2026 00:00:00 GMT"},
        json.dumps(data.draw(mangled(body) | JSON)).encode(),
    )
    decided = after(
        channel.provider.outcome(channel, answer), Tries(calls=9, waited_s=5.0, since_s=60.0), repeats=False
    )
    assert not isinstance(decided, Again) or timedelta(seconds=decided.pause_s) < timedelta(minutes=1)
    told = {"address": "5", "content": {"type": "text", "text": "Hello"}}
    if not isinstance(decided, Again):
        receipt_record(receipt_of(channel, dispatch(provider, told), decided, datetime.now(UTC)))


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize(
    "address",
    [
        "5\r\nX-Evil: 1",
        "5\n",
        "a@b.example\r\nRCPT TO:<c@d.example>",
        "5\0",
        "../../5?x=y#z",
        "<a@b.example>,c@d.example",
    ],
)
def test_an_address_stays_one_value(provider: str, address: str) -> None:
    """It comes from a topic, and may hold anything."""
    channel = channel_of(provider)
    made = channel.provider.request(
        channel, dispatch(provider, {"address": address, "content": {"type": "text", "text": "Hi"}})
    )
    harmless = channel.provider.request(
        channel, dispatch(provider, {"address": "5", "content": {"type": "text", "text": "Hi"}})
    )
    if isinstance(made, Mail):
        assert not set(made.sender + made.recipient) & set("\r\n<>, \0")
        assert made.recipient.count("@") == 1
    elif isinstance(made, Call):
        assert not set("\r\n\0") & set(made.url + "".join(made.headers) + "".join(made.headers.values()))
        assert not isinstance(harmless, Call) or made.url == harmless.url
