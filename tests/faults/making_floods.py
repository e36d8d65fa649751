"""What floods consist of: their records, and the rows that a flooded workspace begins with, stored set by set."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from asyncpg import Pool

from benchmarks import stage as benchmarks
from tests.acceptance.making import PHONE, Json, Maker, Wire, identity, wire
from tests.support.batches import batch, record
from tests.support.bombs import CODECS, MIB, bomb, flood, squeezed
from tests.workers import large_groups
from workers.kafka.inflating import INFLATED_AT_MOST

FLOOD: Final = "flood"
"""The workspace that floods."""
TOO_OLD: Final = datetime(1970, 1, 2, tzinfo=UTC)
OLD: Final = datetime(2000, 2, 3, tzinfo=UTC)
STEPS_AT: Final = datetime(2025, 3, 10, 12, tzinfo=UTC)
_STORED: Final = Path(benchmarks.__file__).with_name("stored.sql")

INFLATED: Final = ("messages.inbound", "messages.outbound", "contacts.commands", "workflows.events")
"""The topics that get batches which are huge once inflated."""

maker: Final = Maker(FLOOD)


def old_workspaces(count: int) -> Iterator[Wire]:
    """The first message of so many workspaces, of the year 2000; of every fourth another one, of 1970."""
    for n in range(count):
        of = Maker(f"old-{n}")
        yield wire(of.message(at=OLD))
        if n % 4 == 0:
            yield wire(of.message(at=TOO_OLD))


def bad(count: int) -> Iterator[Wire]:
    """So many records that nobody understands, each with a key of its own."""
    for n in range(count):
        yield Wire("messages.inbound", f"{FLOOD}:whatsapp:{n}".encode(), b'{"workspace_id": 7}')


def family(children: int, deep: int) -> Iterator[Wire]:
    """A run with so many children, and a chain of runs, each the parent of the next; somebody's they all are."""
    yield wire(maker.event("run_started", "top", at=STEPS_AT))
    for n in range(children):
        yield wire(maker.event("run_started", f"child-{n}", at=STEPS_AT, parent_run_id="top"))
    for n in range(deep):
        parent = f"link-{n - 1}" if n else "top"
        yield wire(maker.event("run_started", f"link-{n}", at=STEPS_AT, parent_run_id=parent))


def blocks(count: int, address: str = PHONE) -> Iterator[Wire]:
    """One contact, blocked and unblocked in turn, so many commands; in the end it is not blocked."""
    for n in range(count):
        name = "block_contact" if n % 2 == 0 else "unblock_contact"
        yield wire(maker.command(name, identity=identity(address), at=STEPS_AT + timedelta(seconds=n)))


def settings(count: int) -> Iterator[Wire]:
    """So many commands that configure the workspace, and as many that configure one channel."""
    for n in range(count):
        at = STEPS_AT + timedelta(seconds=n)
        yield wire(maker.command("configure_workspace", set={"anchor_day": 1 + n % 28, "hold_ttl_hours": 72}, at=at))
        told: Json = {"channel_id": "whatsapp-main", "channel": "whatsapp", "count": n % 2 == 0, "name": f"{n}"}
        yield wire(maker.command("configure_channel", at=at, **told))


def channels(count: int) -> Iterator[Wire]:
    """So many messages of forty people, each on a channel of its own."""
    for n in range(count):
        yield wire(maker.message(address=phone(n % 40), channel_id=f"wa-{n}"))


def addresses(count: int) -> Iterator[Wire]:
    """A message from each of so many e-mail addresses, as long as they may be."""
    for n in range(count):
        address = f"{n:08d}{'x' * 50}@{'.'.join(['y' * 60] * 4)}.example"
        yield wire(maker.message(address=address, channel="email", channel_id="mail"))


def phone(n: int) -> str:
    return f"+49151{80_000_000 + n}"


async def holds(pool: Pool, group_id: str, count: int) -> None:
    """A group of so many held sends, each to somebody else."""
    async with pool.acquire() as tx, tx.transaction():
        await large_groups.fill(tx, FLOOD, group_id, count)
    await pool.execute("ANALYZE")  # as PostgreSQL does by itself within a minute


async def holds_of_one(pool: Pool, count: int) -> UUID:
    """A contact with so many held sends."""
    await holds(pool, "one", count)
    contact: UUID = await pool.fetchval(_OF_ONE, FLOOD)
    return contact


_OF_ONE: Final = """
WITH one AS (
    SELECT i.contact_id, i.lookup FROM sluice_core.sends s
    JOIN sluice_core.identities i ON i.workspace_id = s.workspace_id AND i.contact_id = s.contact_id
    WHERE s.workspace_id = $1 AND s.group_id = 'one' LIMIT 1
), given AS (
    UPDATE sluice_core.sends s
    SET contact_id = one.contact_id, lookup = one.lookup, address = one.lookup, group_id = NULL
    FROM one WHERE s.workspace_id = $1 AND s.group_id = 'one'
)
SELECT contact_id FROM one
"""


async def past(pool: Pool, contacts: int, messages: int) -> None:
    """A workspace with so many messages of the last ninety days, as a benchmark begins with."""
    values = {"contacts": contacts, "messages": messages, "now": datetime.now(UTC).isoformat()}
    script = _STORED.read_text(encoding="utf-8").replace("'acme'", f"'{FLOOD}'")
    # What the file has besides, for other measurements, is left out.
    statements = re.sub(r"@(\w+)@", lambda name: str(values.get(name[1], 0)), script)
    async with pool.acquire() as connection:
        await connection.execute(statements, timeout=60)
        await connection.execute("RESET ALL")
        await connection.execute("ANALYZE")


async def dropped(pool: Pool, count: int) -> tuple[UUID, datetime]:
    """A contact with so many messages that a block dropped by mistake, one a minute from a moment on."""
    contact, now = uuid4(), datetime.now(UTC)
    begin = now - timedelta(minutes=count + 10)
    async with pool.acquire() as tx, tx.transaction():
        await tx.execute(_DROPPED.format(flood=FLOOD, contact=contact, begin=begin, end=now, count=count))
    await pool.execute("ANALYZE")
    return contact, begin


_DROPPED: Final = """
INSERT INTO sluice_core.workspaces (workspace_id, first_message_at, cycles_from)
    VALUES ('{flood}', '{begin}', '{begin}') ON CONFLICT DO NOTHING;
INSERT INTO sluice_core.contacts (workspace_id, contact_id, phone, blocks)
    VALUES ('{flood}', '{contact}', '+4915900000000', ARRAY[tstzrange('{begin}', '{end}')]);
INSERT INTO sluice_core.block_commands (workspace_id, contact_id, issued_at, unblocks, command_id, actor_id)
    VALUES ('{flood}', '{contact}', '{begin}', false, gen_random_uuid(), 'olga'),
        ('{flood}', '{contact}', '{end}', true, gen_random_uuid(), 'olga');
INSERT INTO sluice_core.identities (workspace_id, channel, scope, lookup, address, contact_id)
    VALUES ('{flood}', 'whatsapp', '', '+4915900000000', '+4915900000000', '{contact}');
INSERT INTO sluice_core.messages (generation, workspace_id, message_id, identity_id, channel_id, channel, kind,
    event_time, drop_reason, block_start, mac_rule, counted, content_digest, body, erase_at)
SELECT (SELECT max(generation) FROM sluice_core.generations), '{flood}', gen_random_uuid(), i.identity_id,
    'whatsapp-main', 'whatsapp', 'message', at, 'contact_blocked', '{begin}', 'next_cycle', false, n,
    json_build_object('workspace_id', '{flood}', 'channel_id', 'whatsapp-main', 'channel', 'whatsapp',
        'provider_message_id', 'dropped-' || n, 'sender', json_build_object('address', '+4915900000000'), 'sent_at', at,
        'received_at', at, 'kind', 'message',
        'content', json_build_object('type', 'text', 'text', repeat('hello ', 40))), now() + interval '7 days'
FROM (SELECT n, timestamptz '{begin}' + n * interval '1 minute' AS at FROM generate_series(1, {count}) n) dated,
    sluice_core.identities i WHERE i.workspace_id = '{flood}' AND i.contact_id = '{contact}';
"""


def inflating() -> list[tuple[int, bytes, int]]:
    """Batches that are small until they are inflated: partition, batch, and how many dead letters it makes."""
    # Snappy makes a twentieth of what it is given at best, and a topic takes two mebibytes.
    large = [
        bomb(codec, 40 * MIB if number == CODECS["snappy"] else INFLATED_AT_MOST) for codec, number in CODECS.items()
    ]
    many = squeezed("zstd", (record(n, b"x" * 250_000) for n in range(30)))
    return [
        *((number, each, 1) for number, each in enumerate(large)),
        (len(large), bomb("zstd", 900 * MIB), 1),
        (len(large) + 1, bomb("lz4", 200 * MIB), 1),
        *((partition, batch(0, many, 30, attributes=CODECS["zstd"]), 30) for partition in (7, 8, 9)),
        *((partition, batch(0, flood(200_000), 1), 1) for partition in (9, 10)),
        (11, batch(0, flood(500_000), 1), 1),
    ]
