"""Concurrent transactions: a deletion with messages, claims, an unblock, and another deletion of the same contact."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import Pool, SerializationError

from tests.acceptance.test_block_races_ingest import Records, applied, block, number, one_behind_the_other
from tests.workers.asking import ask
from tests.workers.erasing import erase, traces
from tests.workers.records import message, uuid_of
from tests.workers.sending import request
from workers.app import commands_worker
from workers.errors import RetryBatch
from workers.messages import worker as inbound
from workers.records import Batch, Output, Record
from workers.runtime.worker_spec import Apply
from workers.sends import worker as outbound
from workers.store.connection import Connection

ROUNDS = 120


def again(apply: Apply) -> Apply:
    """As the engine: a transaction that met a moved address starts again."""

    async def run(tx: Connection, batch: Batch[Any]) -> list[Output]:
        try:
            return await apply(tx, batch)
        except SerializationError as error:
            raise RetryBatch("an address moved") from error

    return run


INBOUND, COMMANDS, OUTBOUND = again(inbound.apply), again(commands_worker.apply), again(outbound.apply)


async def met(pool: Pool, n: int, one: tuple[Apply, Records], other: tuple[Apply, Records]) -> None:
    """Both at the same time: the first behind the second, the other way round, or as it happens."""
    match n % 3:
        case 0:
            await one_behind_the_other(pool, one, other)
        case 1:
            await one_behind_the_other(pool, other, one)
        case _:
            await asyncio.gather(applied(pool, *one), applied(pool, *other))


async def people(pool: Pool, rounds: int, **fields: Any) -> list[UUID]:
    """The contacts of that many addresses that wrote once."""
    await applied(pool, INBOUND, [message(number(n), minutes=0, **fields) for n in range(rounds)])
    rows = await pool.fetch("SELECT contact_id, phone FROM contact_overview ORDER BY phone")
    return [row["contact_id"] for row in rows]


def deletion(contact_id: UUID, minutes: float = 10) -> Record[Any]:
    return ask("delete_contacts", minutes=minutes, contact_ids=[contact_id], expected_count=1)


async def texts(pool: Pool) -> list[tuple[str, str]]:
    query = """SELECT c.phone, m.content ->> 'text' AS text
        FROM conversation_messages m JOIN contact_overview c USING (contact_id)"""
    return sorted((row["phone"], row["text"]) for row in await pool.fetch(query))


async def test_a_message_and_the_deletion_of_its_contact(pool: Pool) -> None:
    before = await people(pool, ROUNDS, text="words of 0")
    for n, contact in enumerate(before):
        spoken = [message(number(n), minutes=m, text=f"words of {m}") for m in (5, 10, 11)]
        await met(pool, n, (INBOUND, spoken), (COMMANDS, [deletion(contact)]))

    # Those of before the deletion are gone, the others are of one new contact each.
    assert await texts(pool) == sorted((number(n), f"words of {m}") for n in range(ROUNDS) for m in (10, 11))
    now = {row["contact_id"] for row in await pool.fetch("SELECT contact_id FROM contact_overview")}
    assert len(now) == ROUNDS
    assert now.isdisjoint(before)
    assert await pool.fetchval("SELECT sum(active_contacts) FROM mac_counts") == 2 * ROUNDS
    assert {row["contact_id"] for row in await pool.fetch("SELECT contact_id FROM drop_ledger")} <= set(before)
    await erase(pool)
    assert await traces(pool, "words of 0", "words of 5") == []
    assert len(await texts(pool)) == 2 * ROUNDS


async def test_a_claim_and_the_deletion_of_its_contact(pool: Pool) -> None:
    contacts = await people(pool, ROUNDS)
    sends = [request(f"s{n}", to=number(n), minutes=1) for n in range(ROUNDS)]
    await applied(pool, OUTBOUND, sends)

    async def claim(n: int) -> tuple[bool, str | None]:
        row = await pool.fetchrow("SELECT granted, reason FROM claim_send('acme', $1, 1)", uuid_of(f"s{n}"))
        return row["granted"], row["reason"]

    claims = []
    for n, contact in enumerate(contacts):
        told, _ = await asyncio.gather(claim(n), applied(pool, COMMANDS, [deletion(contact)]))
        claims.append(told)
        assert await claim(n) == ((False, "already_claimed") if told[0] else (False, "contact_deleted"))
    assert set(claims) <= {(True, None), (False, "contact_deleted"), (False, "contact_changed")}


async def test_a_contact_is_deleted_once(pool: Pool) -> None:
    contacts = await people(pool, ROUNDS // 2)
    for n, contact in enumerate(contacts):
        one, other = deletion(contact), deletion(contact, 11)
        await met(pool, n, (COMMANDS, [one]), (COMMANDS, [other]))
    results = await pool.fetch("SELECT outcome, reason, count(*) AS number FROM audit_log GROUP BY 1, 2 ORDER BY 1")
    assert [tuple(row) for row in results] == [
        ("done", None, len(contacts)),
        ("refused", "count_differs", len(contacts)),
    ]
    assert await pool.fetchval("SELECT sum(contacts) FROM deletions") == len(contacts)


async def test_an_unblock_and_the_first_message_after_the_deletion(pool: Pool) -> None:
    """The unblock reaches the hash or the contact that got the block from it, never neither."""
    contacts = await people(pool, ROUNDS)
    await applied(pool, COMMANDS, [block(number(n), 5) for n in range(ROUNDS)])
    await applied(pool, COMMANDS, [deletion(contact) for contact in contacts])
    for n in range(ROUNDS):
        spoken = [message(number(n), minutes=m, text=f"words of {m}") for m in (15, 25)]
        await met(pool, n, (INBOUND, spoken), (COMMANDS, [block(number(n), 20, command="unblock_contact")]))
    assert await pool.fetchval("SELECT count(*) FROM blocked_contacts") == 0
    assert await texts(pool) == sorted((number(n), "words of 25") for n in range(ROUNDS))
    reasons: Sequence[Any] = await pool.fetch("SELECT DISTINCT reason FROM drop_ledger")
    assert [row["reason"] for row in reasons] == ["contact_blocked"]


async def test_all_and_a_new_contact(pool: Pool) -> None:
    """`all` means those that exist when it is applied: the new one is among them, or it is not."""
    for n in range(ROUNDS // 4):
        await applied(pool, INBOUND, [message(number(2 * n), minutes=0, workspace_id=f"w{n}")])
        every = [ask("delete_contacts", minutes=10, workspace_id=f"w{n}", all=True, expected_count=c) for c in (1, 2)]
        one, other = [message(number(2 * n + 1), minutes=1, workspace_id=f"w{n}")], every
        await met(pool, n, (INBOUND, one), (COMMANDS, other))
        left = await pool.fetchval("SELECT count(*) FROM contact_overview WHERE workspace_id = $1", f"w{n}")
        deleted = await pool.fetchval("SELECT sum(contacts) FROM deletions WHERE workspace_id = $1", f"w{n}")
        assert left + deleted == 2
    assert await pool.fetchval("SELECT count(*) FROM drop_ledger WHERE reason = 'contact_blocked'") == 0
