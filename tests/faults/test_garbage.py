"""A thousand poison records among ten thousand good ones: no partition stops and no record is lost."""

import asyncio
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import msgspec
import pytest

from tests.acceptance.making import Json, Maker, key_of, topic_of
from tests.faults.garbage import KINDS
from tests.faults.stage import Stage
from tests.support.brokers import Read, Sent
from workers.runtime.bad_record_limit import BAD_RECORD_LIMIT, WINDOW

pytestmark = pytest.mark.kafka

SEED: Final = 4
WORKSPACE: Final = "acme"
REFERENCE: Final = 512 * 1024
GOOD: Final = {
    "messages.inbound": 7_400,
    "contacts.commands": 900,
    "messages.outbound": 900,
    "messages.receipts": 400,
    "workflows.events": 400,
}

Headers = tuple[tuple[str, bytes], ...]
Place = tuple[str, int, int]


class Wire(NamedTuple):
    """A record to produce; `kind` is None for a good one."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    kind: str | None = None


class Letter(NamedTuple):
    """What a dead letter must be, byte for byte."""

    key: bytes | None
    value: bytes | None
    headers: Headers


async def test_a_thousand_bad_records_among_ten_thousand_good_ones_hold_nothing_up(everything: Stage) -> None:
    dice = random.Random(SEED)  # noqa: S311 - repeatable, and no secret
    first, then = _good()
    bad: dict[Place, Wire] = {}
    await everything.start_ready(count=2)
    for part in (first, then):
        wires = _scattered(part, round(len(part) / 10), dice)
        bad |= await _produced(everything, wires)
        await everything.broker.caught_up(everything.pool, *GOOD, timeout_s=90)
    assert await everything.stop() == [0, 0]

    assert len(bad) == 1_000
    assert len({wire.kind for wire in bad.values()}) == len(KINDS) >= 15
    _assert_never_close_to_the_limit(bad)
    await _assert_letters(everything, bad)
    await _assert_applied(everything)
    await _assert_order(everything, first)


async def test_good_records_whose_texts_are_as_long_as_they_may_be_are_applied(everything: Stage) -> None:
    dice = random.Random(SEED)  # noqa: S311 - repeatable, and no secret

    def wide(characters: int) -> str:
        """Four bytes each, and nothing to compress."""
        return "".join(chr(dice.randrange(0x20000, 0x2A6D6)) for _ in range(characters))

    maker = Maker("w" * 64)
    there = {"channel": "custom", "channel_id": wide(128), "address": wide(320)}
    place: Json = {"channel": "custom", "channel_id": there["channel_id"]}
    send = maker.send(**place, to={"address": there["address"]}, group_id=wide(128), step_id=wide(128))
    facts = [
        maker.message(
            wide(20_000),
            address=there["address"],
            **place,
            provider_message_id=wide(512),
            sender={"address": there["address"], "name": wide(512), "language": wide(64), "avatar_url": wide(8_192)},
        ),
        maker.command(
            "add_tag", identity=there, tag=wide(128), actor={"id": wide(128), "role": "owner", "module": "api"}
        ),
        maker.command("define_company", company_id=wide(128), name=wide(512)),
        maker.command("define_status", name=wide(128), protected=True),
        maker.command("create_profile", profile_id=wide(128), name=wide(512)),
        maker.command("configure_channel", **place, name=wide(512)),
        send,
        maker.receipt(send, "delivered", provider_message_id=wide(512)),
        maker.receipt({"channel_id": wide(128), "send_id": None}, "sent", provider_message_id=wide(512)),
        maker.event("run_started", wide(128), identity=there, workflow_id=wide(128), parent_run_id=wide(128)),
        maker.event("step_requested", wide(128), step_id=wide(128), action="other"),
    ]
    await everything.start_ready()
    for fact in facts:
        value = msgspec.json.encode(fact)
        await everything.broker.produce(topic_of(fact), [(key_of(fact), value)])
        await everything.broker.caught_up(everything.pool, topic_of(fact))
    assert await everything.stop() == [0]
    assert await everything.pool.fetch("SELECT source_topic, error FROM sluice.dead_letters") == []


def _good() -> tuple[list[Json], list[Json]]:
    """What can be applied in any order but for one key's; and what needs that to be applied."""
    maker = Maker(WORKSPACE)
    numbers = [f"+49151{n:08}" for n in range(300)]
    sends = [
        maker.send(f"{n}", send_id=str(_id("send", n)), to={"address": f"+49160{n % 90:08}"})
        for n in range(GOOD["messages.outbound"])
    ]
    first = [
        *(maker.message(f"{n}", address=numbers[n % 300]) for n in range(GOOD["messages.inbound"])),
        *(_command(maker, n) for n in range(GOOD["contacts.commands"])),
        *sends,
    ]
    receipts = [maker.receipt(send, "delivered") for send in sends[: GOOD["messages.receipts"]]]
    runs = [
        event
        for n in range(GOOD["workflows.events"] // 2)
        for event in (
            maker.event("run_started", f"run-{n}", identity={"channel": "whatsapp", "address": numbers[n]}),
            maker.event("run_finished", f"run-{n}"),
        )
    ]
    return first, [*receipts, *runs]


def _command(maker: Maker, number: int) -> Json:
    """Ninety companies, each named ten times: the last name tells the order."""
    company, name = f"company-{number % 90}", f"{number // 90}"
    return maker.command("define_company", command_id=str(_id("command", number)), company_id=company, name=name)


def _id(what: str, number: int) -> UUID:
    return uuid5(UUID(int=SEED), f"{what} {number}")


def _scattered(good: Sequence[Json], bad: int, dice: random.Random) -> list[Wire]:
    """Good records in their order, and bad ones anywhere between: of the same topics, mostly under the same keys."""
    kinds = sorted(KINDS)
    slots = [*[True] * len(good), *[False] * bad]
    dice.shuffle(slots)
    rest = iter(good)
    wires, number = [], 0
    for is_good in slots:
        record = next(rest) if is_good else dice.choice(good)
        topic = topic_of(record)
        if is_good:
            wires.append(Wire(topic, key_of(record), msgspec.json.encode(record), ()))
            continue
        kind = kinds[number % len(kinds)]
        key = dice.choice([key_of(record)] * 3 + [None, b"", dice.randbytes(9)])
        wires.append(Wire(topic, key, KINDS[kind](record, dice), _headers(dice), kind))
        number += 1
    return wires


def _headers(dice: random.Random) -> Headers:
    some = (("raw", dice.randbytes(6)), ("error", b"theirs"), ("raw", b""), ("ä", b"\x00"))
    return some[: dice.randrange(5)]


async def _produced(stage: Stage, wires: Sequence[Wire]) -> dict[Place, Wire]:
    """Where the bad ones are."""
    prefix = stage.broker.topic_prefix
    async with stage.broker.producer(linger_ms=5) as producer:
        waiting = [
            # aiokafka refuses a record without key and value
            await producer.send(
                prefix + w.topic, w.value, w.key if (w.key, w.value) != (None, None) else b"", headers=list(w.headers)
            )
            for w in wires
        ]
        sent = [Sent(done.partition, done.offset) for done in await asyncio.gather(*waiting)]
    return {(w.topic, *where): w for w, where in zip(wires, sent, strict=True) if w.kind is not None}


def _assert_never_close_to_the_limit(bad: dict[Place, Wire]) -> None:
    for _, places in groupby(sorted(bad), key=lambda place: place[:2]):
        offsets = [offset for _, _, offset in places]
        assert all(b - a >= WINDOW for a, b in zip(offsets, offsets[BAD_RECORD_LIMIT - 1 :], strict=False))


async def _assert_letters(stage: Stage, bad: dict[Place, Wire]) -> None:
    """On the topic, in the table, and in the view: each once, as it came, and nothing else."""
    published: dict[Place, Letter] = {}
    for record in await stage.broker.read_all("dead.letters"):
        assert [name for name, _ in record.headers[:4]] == [
            "error",
            "source_topic",
            "source_partition",
            "source_offset",
        ]
        place = _place(record)
        end = next(at for at, (name, _) in enumerate(record.headers) if name == "ce_specversion")
        letter = Letter(record.key, record.value, _given(record.headers[4:end]))
        assert published.setdefault(place, letter) == letter
    assert published == {place: Letter(_sent_key(w), _published_value(w), w.headers) for place, w in bad.items()}

    rows = await stage.pool.fetch("SELECT * FROM sluice_core.dead_letters")
    stored = {(r["source_topic"], r["source_partition"], r["source_offset"]): _stored(r) for r in rows}
    assert stored == {place: Letter(_sent_key(w), _stored_value(w), w.headers) for place, w in bad.items()}

    query = "SELECT source_topic, source_partition, source_offset, error, attempts, status FROM sluice.dead_letters"
    seen = await stage.pool.fetch(query)
    assert len(seen) == len(bad)
    assert {tuple(row)[:3] for row in seen} == set(bad)
    assert {(row["attempts"], row["status"]) for row in seen} == {(1, "new")}
    assert all(row["error"] for row in seen)


def _place(record: Read) -> Place:
    topic, partition, offset = (record.header(f"source_{name}") or b"" for name in ("topic", "partition", "offset"))
    return topic.decode(), int(partition), int(offset)


def _given(headers: Sequence[tuple[str, bytes | None]]) -> Headers:
    return tuple((name, value or b"") for name, value in headers)


def _stored(row: Any) -> Letter:
    return Letter(row["key"], row["value"], _given(msgspec.msgpack.decode(row["headers"])))


def _sent_key(wire: Wire) -> bytes | None:
    return wire.key if (wire.key, wire.value) != (None, None) else b""


def _published_value(wire: Wire) -> bytes | None:
    if wire.value is None or len(wire.value) <= REFERENCE:
        return wire.value
    sha256 = hashlib.sha256(wire.value).hexdigest()
    return json.dumps({"size": len(wire.value), "sha256": sha256}, separators=(",", ":")).encode()


def _stored_value(wire: Wire) -> bytes | None:
    return wire.value if wire.value is not None and len(wire.value) <= REFERENCE else None


async def _assert_applied(stage: Stage) -> None:
    """Ten thousand, each once."""
    applied = {
        "messages.inbound": "SELECT count(*) FROM sluice.conversation_messages WHERE direction = 'in'",
        "contacts.commands": "SELECT count(*) FROM sluice.audit_log WHERE outcome = 'done'",
        "messages.outbound": "SELECT count(*) FROM sluice.sends",
        "messages.receipts": "SELECT count(*) FROM sluice.sends WHERE status = 'delivered'",
        "workflows.events": "SELECT 2 * count(*) FROM sluice.workflow_runs WHERE state = 'finished'",
    }
    assert {topic: await stage.pool.fetchval(query) for topic, query in applied.items()} == GOOD


async def _assert_order(stage: Stage, good: Sequence[Json]) -> None:
    """First occurrences of a key's facts come in the order of its records; the last name given is the name."""
    wanted, found = defaultdict(list), defaultdict(list)
    for record in good:
        if topic_of(record) == "messages.inbound":
            wanted[key_of(record)].append(record["content"]["text"])
    seen = set()
    for fact in await stage.broker.read_all("messages.accepted"):
        if fact.header("ce_id") not in seen:
            seen.add(fact.header("ce_id"))
            found[fact.key].append(msgspec.json.decode(fact.value or b"")["content"]["text"])
    assert found == wanted
    names = await stage.pool.fetch("SELECT name, count(*) FROM sluice.companies GROUP BY name")
    assert {row["name"]: row["count"] for row in names} == {"9": 90}
