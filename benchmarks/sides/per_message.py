"""The peers' job for one message on asyncpg: one transaction, four or five statements."""

from typing import Any
from uuid import UUID

import msgspec

from benchmarks.sides.job import COUNT_CONTACT, FIND_CONTACT, KEEP_MESSAGE, MAKE_CONTACT, Json, identity, message_id


async def keep(pool: Any, message: Json) -> tuple[UUID, UUID, bool]:
    """Stores one message; its id, its contact's id, and whether it is dropped."""
    id_ = message_id(message)
    workspace_id, sent_at = message["workspace_id"], message["sent_at"]
    async with pool.acquire() as connection, connection.transaction():
        contact = await connection.fetchrow(FIND_CONTACT, *identity(message))
        contact = contact or await connection.fetchrow(MAKE_CONTACT, *identity(message))
        contact_id, blocked = contact
        body = msgspec.json.encode(message).decode()
        await connection.execute(KEEP_MESSAGE, id_, workspace_id, contact_id, sent_at, blocked, body)
        if not blocked:
            await connection.execute(COUNT_CONTACT, workspace_id, sent_at, contact_id, id_)
    return id_, contact_id, blocked
