"""Senders of messages: found by their addresses, in groups."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import Pool

from tests.workers.records import at
from workers.rules.conversations import BEFORE_ALL
from workers.store import contacts, senders
from workers.store.contacts import IdentityKey, contact_key

EARLIEST = at(10)
ANA = IdentityKey("acme", "whatsapp", "", "+4915112345678")


async def somebody(pool: Pool, key: IdentityKey, *, connected_at: datetime | None = None, **state: Any) -> UUID:
    id_ = uuid4()
    await pool.execute("INSERT INTO contacts (workspace_id, contact_id) VALUES ($1, $2)", key.workspace_id, id_)
    await pool.execute(
        "INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, connected_at)"
        " VALUES ($1, $2, $3, $4, $4, $5, $6)",
        *key,
        id_,
        connected_at,
    )
    for column, value in state.items():
        await pool.execute(f"UPDATE contacts SET {column} = $2 WHERE contact_id = $1", id_, value)  # noqa: S608
    return id_


async def found(pool: Pool, *keys: IdentityKey) -> dict[senders.SenderKey, senders.SenderState]:
    async with pool.acquire() as tx, tx.transaction():
        return await senders.find(tx, keys, EARLIEST)


async def test_the_same_address_is_somebody_else_in_another_workspace_channel_or_scope(pool: Pool) -> None:
    keys = [
        IdentityKey(workspace_id, channel, scope, f"{n}")
        for workspace_id in ("acme", "zeta")
        for channel, scope in (("telegram", ""), ("messenger", "page-1"), ("messenger", "page-2"))
        for n in range(3)
    ]
    ids = {key: await somebody(pool, key) for key in keys}
    nobody = [key._replace(lookup='9"\\{,}') for key in keys]
    wanted = sorted(keys + nobody, key=lambda key: key.lookup)  # from group to group
    assert {key: sender.contact.contact_id for key, sender in (await found(pool, *wanted)).items()} == ids


@pytest.mark.parametrize(("known", "told"), [(None, None), (at(3), EARLIEST), (EARLIEST, EARLIEST), (at(12), at(12))])
async def test_when_an_address_wrote_first_is_told_no_earlier_than_it_matters(
    pool: Pool, known: datetime | None, told: datetime | None
) -> None:
    await somebody(pool, ANA, connected_at=known)
    assert (await found(pool, ANA))[ANA].connected_at == told


@pytest.mark.parametrize(
    ("columns", "block", "after"),
    [
        ({}, None, BEFORE_ALL),
        ({"opened_at": at(3)}, None, None),
        ({"opened_at": at(12)}, None, None),
        ({"opened_at": at(3), "closed_at": at(4)}, None, at(4)),
        ({"opened_at": at(5), "closed_at": at(4)}, None, None),
        ({"opened_at": at(3)}, (at(4), at(5)), at(4)),
        ({"opened_at": at(6)}, (at(4), at(5)), None),
        ({"opened_at": at(3)}, (at(4), None), at(4)),
        ({"user_opened_at": at(3)}, None, None),
        ({"user_opened_at": at(3)}, (at(4), at(5)), at(4)),
        ({"opened_at": at(3), "snoozed_at": at(4), "snoozed_until": at(90)}, None, at(4)),
        ({"opened_at": at(5), "snoozed_at": at(4), "snoozed_until": at(90)}, None, None),
        ({"opened_at": at(3), "snoozed_at": at(4)}, None, None),
    ],
)
async def test_it_is_told_which_message_would_change_a_conversation(
    pool: Pool, columns: dict[str, datetime], block: tuple[datetime, datetime | None] | None, after: datetime | None
) -> None:
    id_ = await somebody(pool, ANA, **columns)
    if block is not None:
        await pool.execute("UPDATE contacts SET blocks = ARRAY[tstzrange($2, $3)] WHERE contact_id = $1", id_, *block)
    sender = (await found(pool, ANA))[ANA]
    assert sender.contact.awaits_message_after == after
    async with pool.acquire() as tx, tx.transaction():
        [locked] = (await contacts.lock_for_update(tx, [contact_key(sender.contact)])).values()
    assert locked.awaits_message_after == after
