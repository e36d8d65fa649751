"""Who wrote: found by their addresses, group by group."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import Pool

from tests.workers.records import at
from workers.store import senders
from workers.store.contacts import IdentityKey

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


async def found(pool: Pool, *keys: IdentityKey) -> dict[IdentityKey, senders.Sender]:
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
    ("opened_at", "closed_at", "block", "status"),
    [
        (None, None, None, "closed"),
        (at(3), None, None, "open"),
        (at(12), None, None, "open"),
        (at(3), at(4), None, "closed"),
        (at(5), at(4), None, "open"),
        (at(3), None, (at(4), at(5)), "closed"),
        (at(6), None, (at(4), at(5)), "open"),
        (at(3), None, (at(4), None), "blocked"),
    ],
)
async def test_a_conversation_is_as_open_as_it_was(
    pool: Pool,
    opened_at: datetime | None,
    closed_at: datetime | None,
    block: tuple[datetime, datetime | None] | None,
    status: str,
) -> None:
    id_ = await somebody(pool, ANA, opened_at=opened_at, closed_at=closed_at)
    if block is not None:
        await pool.execute("UPDATE contacts SET blocks = ARRAY[tstzrange($2, $3)] WHERE contact_id = $1", id_, *block)
    contact = (await found(pool, ANA))[ANA].contact
    assert contact.conversation_status == status
    assert contact.closed_at == closed_at
