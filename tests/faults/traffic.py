"""The load of the fault tests: 27,000 records over five topics: messages, blocks, edits, sends, answers, workflows.

It comes in parts: each part must have been applied before the next one begins, as clients wait for answers. Within a
part nothing depends on which worker is faster: messages, blocks and runs are judged by event time, and nobody whom a
part sends to changes in that part. So it ends in one world, whatever happens to the workers meanwhile.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from asyncpg import Pool

from tests.acceptance.making import Json, Maker, Wire, at, identity, wire
from tests.faults import edits, families
from tests.support.brokers import Broker

PARTITIONS: Final = 12
INPUTS: Final = ("messages.inbound", "messages.outbound", "messages.receipts", "contacts.commands", "workflows.events")

_WORKSPACES: Final = ("alpha", "beta", "gamma")
_PEOPLE: Final = 400  # in each workspace; the last digit of their number says what they are there for
_PROTECTED, _BLOCKED, _BLOCKED_NOW_AND_THEN = (0,), (1,), (2, 3)
_FAMILIES: Final = range(_PEOPLE, _PEOPLE + 3 * families.GROUP)
_MESSAGES, _BLOCKS, _SENDS, _RUNS = 15_000, 900, 1_500, 600
_WITHOUT_RECEIPT, _PUT_OFF = (0, 1), 2  # the last digit of a send's number
_TIME_IS_OVER: Final = "UPDATE sluice_core.sends SET claim_by = now() WHERE workspace_id = $1 AND send_id = $2"
_GARBAGE: Final = (b"{", b'{"workspace_id": 7}', b"\xff\xfe", b'{"workspace_id":"alpha","text":"\\u0000"}', b"[]", b"")


class Part(NamedTuple):
    """Records that may be applied in any order but for those of one topic and key."""

    name: str
    records: Sequence[Wire]


async def nothing(_part: str) -> None:
    """What happens besides, when nothing does."""


async def play(
    broker: Broker, pool: Pool, *, meanwhile: Callable[[str], Awaitable[None]] = nothing, timeout_s: float = 150.0
) -> None:
    """Produces everything, part by part, and waits until all of it is applied and the outbox is published.

    `meanwhile` is called with the name of each part once its records are on the topics, and may take its time: people
    (nothing is known yet), rules, memberships, load (two thirds of all records), answers, partings.
    """
    async with asyncio.timeout(timeout_s):
        ends: dict[tuple[str, int], int] = {}
        async with broker.producer(enable_idempotence=True, linger_ms=5) as producer:
            await _produce(producer, broker.topic_prefix, _opening(), ends)
            await _applied(pool, ends)
            for name, records in parts():
                more = await _of_families(pool, name)
                await _senders(pool, name)
                await _produce(producer, broker.topic_prefix, [*records, *more], ends)
                await meanwhile(name)
                await _applied(pool, ends)
        await quiet(pool)


async def _produce(producer: Any, prefix: str, records: Sequence[Wire], ends: dict[tuple[str, int], int]) -> None:
    waiting = [await producer.send(prefix + topic, value, key) for topic, key, value in records]
    for record, sent in zip(records, await asyncio.gather(*waiting), strict=True):
        where = record.topic, sent.partition
        ends[where] = max(sent.offset + 1, ends.get(where, 0))


async def _applied(pool: Pool, ends: dict[tuple[str, int], int]) -> None:
    query = "SELECT topic, partition, next_offset FROM sluice.partition_progress"
    while True:
        rows = {(row["topic"], row["partition"]): row["next_offset"] or 0 for row in await pool.fetch(query)}
        if all(rows.get(where, 0) >= end for where, end in ends.items()):
            return
        await asyncio.sleep(0.05)


_LEFT: Final = """
SELECT (SELECT count(*) FROM sluice_core.batch_outbox) + (SELECT count(*) FROM sluice_core.outbox)
     + (SELECT count(*) FROM sluice_core.pending_work) + (SELECT count(*) FROM sluice_core.unpublished_contacts)
     + (SELECT count(*) FROM sluice_core.unpublished_cycles)
     + (SELECT count(*) FROM sluice_core.deletions WHERE finished_at IS NULL)
     + (SELECT count(*) FROM sluice_core.sends WHERE status = 'dispatched' AND claim_by <= now())
"""


async def quiet(pool: Pool) -> None:
    """Waits until the outbox is empty and no job has work left."""
    while await pool.fetchval(_LEFT):  # noqa: ASYNC110 - a database has no event to wait for
        await asyncio.sleep(0.05)


@cache
def parts() -> Sequence[Part]:
    """The whole load, the same in every test."""
    return _load()[0]


@cache
def _opening() -> Sequence[Wire]:
    """Keeps the cycles open, which are long past: otherwise everything would be late."""
    values = {"close_grace_hours": 80_000}
    return [wire(Maker(name).command("configure_workspace", set=values, at=at(0))) for name in _WORKSPACES]


def unanswered() -> Sequence[tuple[str, UUID, bool]]:
    """The sends without any receipt: workspace, send, and whether a sender claims it."""
    return _load()[1]


@cache
def _load() -> tuple[Sequence[Part], Sequence[tuple[str, UUID, bool]]]:
    dice = random.Random(20_260_310)  # noqa: S311 - nothing secret
    makers = [Maker(name) for name in _WORKSPACES]
    sends = [_send(dice, makers) for _ in range(_SENDS)]
    load = [
        *(wire(record) for record in _messages(dice, makers, _MESSAGES, 10)),
        *(wire(record) for record in _blocks(dice, makers, _BLOCKS)),
        *(wire(record) for record in edits.edits(dice, makers, _addresses())),
        *(wire(record) for record in sends),
        *_runs(dice, makers),
        *(_garbage(dice) for _ in range(150)),
    ]
    answers = [*(wire(r) for r in _messages(dice, makers, 2_000, 500)), *_answers(dice, makers, sends)]
    left = [
        (send["workspace_id"], UUID(send["send_id"]), number % 10 == 0)
        for number, send in enumerate(sends)
        if number % 10 in _WITHOUT_RECEIPT and _kind(send) not in (*_PROTECTED, *_BLOCKED)
    ]
    return (
        Part("people", [wire(record) for maker in makers for record in _people(maker)]),
        Part("rules", [wire(record) for maker in makers for record in _rules(maker)]),
        Part("memberships", [wire(record) for maker in makers for record in _memberships(maker)]),
        Part("load", _shuffled(dice, load)),
        Part("answers", _shuffled(dice, answers)),
        Part("partings", ()),
    ), left


async def _of_families(pool: Pool, part: str) -> Sequence[Wire]:
    """The commands of a part that name contacts by their ids."""
    given = {"answers": families.joined, "partings": families.parted}.get(part)
    records: list[Wire] = []
    if given is None:
        return records
    for maker in map(Maker, _WORKSPACES):
        addresses = [_address(maker.id, number) for number in _FAMILIES]
        records += map(wire, given(maker, addresses, await families.known(pool, maker, addresses)))
    return records


async def _senders(pool: Pool, part: str) -> None:
    """Some sends get no receipt. Senders claim half of those, and later the time of all of them runs out."""
    for workspace, send_id, claimed in unanswered():
        if part == "answers" and claimed:
            await pool.fetch("SELECT sluice.claim_send($1, $2, 1)", workspace, send_id)
        elif part == "partings":
            await pool.execute(_TIME_IS_OVER, workspace, send_id)


def _shuffled(dice: random.Random, records: Sequence[Wire]) -> list[Wire]:
    """In any order, but those of one topic and key as they were."""
    by_key: dict[tuple[str, bytes], list[Wire]] = {}
    for record in records:
        by_key.setdefault((record.topic, record.key), []).append(record)
    turns = [key for key, own in by_key.items() for _ in own]
    dice.shuffle(turns)
    waiting = {key: iter(own) for key, own in by_key.items()}
    return [next(waiting[key]) for key in turns]


def _address(workspace: str, number: int) -> str:
    return f"+49151{_WORKSPACES.index(workspace) + 1}{number:06}"


def _addresses() -> dict[str, dict[int, str]]:
    return {name: {number: _address(name, number) for number in range(_PEOPLE)} for name in _WORKSPACES}


def _numbers(*kinds: int) -> list[int]:
    return [number for number in range(_PEOPLE) if number % 10 in kinds]


def _uuid(dice: random.Random) -> str:
    return str(UUID(int=dice.getrandbits(128), version=4))


def _people(maker: Maker) -> Iterator[Json]:
    for number in (*range(_PEOPLE), *_FAMILIES):
        yield _message(maker, number, f"first-{number}", 0)


def _message(maker: Maker, number: int, id_: str, minute: float, text: str = "hello") -> Json:
    address = _address(maker.id, number)
    sender = {"address": address, "name": f"Person {number}"}
    return maker.message(text, at=at(minute), address=address, provider_message_id=id_, sender=sender)


def _rules(maker: Maker) -> Iterator[Json]:
    yield maker.command("configure_workspace", set={"time_zone": "Europe/Berlin"}, at=at(1))
    yield maker.command("define_status", name="vip", protected=True, at=at(1))
    yield from edits.definitions(maker)
    for number in _numbers(*_PROTECTED):
        yield maker.command("create_profile", profile_id=f"p{number}", name=f"Profile {number}", at=at(1))


def _memberships(maker: Maker) -> Iterator[Json]:
    for number in _numbers(*_PROTECTED):
        yield maker.command("set_profile_status", profile_id=f"p{number}", status="vip", at=at(2))
        who = identity(_address(maker.id, number))
        yield maker.command("attach_contact", identity=who, profile_id=f"p{number}", at=at(2))
    for number in _numbers(*_BLOCKED):
        yield maker.command("block_contact", identity=identity(_address(maker.id, number)), at=at(2))


def _messages(dice: random.Random, makers: Sequence[Maker], count: int, minute: float) -> Iterator[Json]:
    """Some come twice, and some come again with another text."""
    for number in range(count):
        maker = dice.choice(makers)
        message = _message(maker, dice.randrange(_PEOPLE), f"m{minute}-{number}", minute + number / 100)
        yield message
        if number % 50 == 0:
            yield message
        if number % 97 == 0:
            yield message | {"content": {"type": "text", "text": "edited"}}


def _blocks(dice: random.Random, makers: Sequence[Maker], count: int) -> Iterator[Json]:
    people = _numbers(*_BLOCKED_NOW_AND_THEN)
    for number in range(count):
        maker = dice.choice(makers)
        command = dice.choice(("block_contact", "unblock_contact"))
        who = identity(_address(maker.id, dice.choice(people)))
        yield maker.command(command, identity=who, at=at(10 + dice.randrange(15_000) / 100 + number / 1e6))


def _send(dice: random.Random, makers: Sequence[Maker]) -> Json:
    maker = dice.choice(makers)
    number = dice.choice(_numbers(*_PROTECTED, *_BLOCKED, 4, 5, 6, 7, 8, 9))
    address = _address(maker.id, number)
    return maker.send(at=at(10), send_id=_uuid(dice), to={"address": address})


def _runs(dice: random.Random, makers: Sequence[Maker]) -> Iterator[Wire]:
    for number in range(_RUNS):
        maker, run = dice.choice(makers), f"run-{number}"
        who = identity(_address(maker.id, dice.choice(_numbers(*_BLOCKED, *_BLOCKED_NOW_AND_THEN, 4, 5))))
        minute = 10 + dice.randrange(15_000) / 100
        yield wire(maker.event("run_started", run, identity=who, at=at(minute)))
        for step, action in enumerate(("add_tag", "send_message")):
            yield wire(
                maker.event("step_requested", run, step_id=f"s{step}", action=action, at=at(minute + 1 + step / 10))
            )
        if number % 3:
            yield wire(maker.event("run_finished", run, at=at(minute + 2)))


def _kind(send: Json) -> int:
    return int(send["to"]["address"][-1])


def _garbage(dice: random.Random) -> Wire:
    key = f"alpha:whatsapp:{_address('alpha', dice.randrange(_PEOPLE))}".encode()
    return Wire(dice.choice(INPUTS), key, dice.choice(_GARBAGE))


def _answers(dice: random.Random, makers: Sequence[Maker], sends: Sequence[Json]) -> Iterator[Wire]:
    """Held sends are confirmed or rejected; the others were delivered or read, must wait, or get no receipt."""
    by_name = {maker.id: maker for maker in makers}
    for number, send in enumerate(sends):
        maker = by_name[send["workspace_id"]]
        kind = _kind(send)
        if kind in _PROTECTED:
            command = "confirm_send" if number % 3 else "reject_send"
            yield wire(maker.command(command, send_id=send["send_id"], at=at(400)))
        elif kind in _BLOCKED or number % 10 in _WITHOUT_RECEIPT:
            continue
        elif number % 10 == _PUT_OFF:
            # Counted from now: no test lasts until then, but each longer than the usual pause.
            error = {"code": "busy", "message": "try later", "retry_after_s": 86_400}
            yield wire(maker.receipt(send, "failed", error=error))
        else:
            ends = dice.choice((("sent", "delivered"), ("delivered", "sent"), ("sent", "delivered", "read")))
            for status in ends:
                yield wire(maker.receipt(send, status, provider_message_id=f"out-{number}", at=at(300)))
    for maker in makers:
        for number in _numbers(*_BLOCKED_NOW_AND_THEN):
            span = {"from": at(0), "to": at(450)}
            yield wire(
                maker.command("release_dropped", identity=identity(_address(maker.id, number)), **span, at=at(460))
            )
