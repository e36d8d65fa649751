"""Groups of holds as large as they come, and a process that answers one: `python -m tests.workers.large_groups URL …`.

The process prints what `changed`, how many facts came with it, how long it took in seconds, and its peak memory in MiB.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec
from asyncpg import Connection

from tests.workers.asking import ask, give, said
from tests.workers.stepping import steps
from workers.store.connection import transaction_time
from workers.store.pool import pool_of

_FILL: Final = """
INSERT INTO workspaces (workspace_id, first_message_at) VALUES ($1, now()) ON CONFLICT DO NOTHING;
INSERT INTO channels (workspace_id, channel_id, channel) VALUES ($1, 'wa-main', 'whatsapp') ON CONFLICT DO NOTHING;
INSERT INTO profile_statuses (workspace_id, name, protected, protected_since, written_at, written_by)
    VALUES ($1, 'vip', true, now(), now(), gen_random_uuid()) ON CONFLICT DO NOTHING;
CREATE TEMPORARY TABLE person ON COMMIT DROP AS
    SELECT gen_random_uuid() AS id, $2 || '-' || n AS name, '+4915' || lpad((n + known)::text, 9, '0') AS phone
    FROM generate_series(1, $3) AS n, (SELECT count(*) AS known FROM identities) AS identities;
INSERT INTO profiles (workspace_id, profile_id, name, name_key, status, status_at, created_by, created_at)
    SELECT $1, name, name, name, 'vip', now(), 'ann', now() FROM person;
INSERT INTO contacts (workspace_id, contact_id, phone, profile_id, profile_at)
    SELECT $1, id, phone, name, now() FROM person;
INSERT INTO identities (workspace_id, channel, scope, lookup, address, contact_id, connected_at)
    SELECT $1, 'whatsapp', '', phone, phone, id, now() FROM person;
INSERT INTO sends (workspace_id, send_id, group_id, contact_id, channel, channel_id, scope, lookup, address, content,
        source, requested_by, requested_role, requested_at, status, reasons, reason_keys, held_at, expires_at,
        applied_at, updated_at)
    SELECT $1, gen_random_uuid(), $2, id, 'whatsapp', 'wa-main', '', phone, phone,
        json_build_object('type', 'text', 'text', repeat('hello ', 40)), 'broadcast', 'ann', 'agent', now(), 'held',
        '{status_protected}', '{status_protected:vip}', now(), now() + interval '72 hours', now(), now()
    FROM person;
"""


async def fill(tx: Connection, workspace_id: str, group_id: str, holds: int) -> None:
    """A group of sends to as many people, each held because of a profile of its own."""
    text = _FILL.replace("$1", f"'{workspace_id}'").replace("$2", f"'{group_id}'").replace("$3", str(holds))
    await tx.execute(text, timeout=120)


async def _answer(url: str, command: str, workspace_id: str, group_id: str) -> dict[str, Any]:
    async with pool_of(url, name="test") as pool:
        async with pool.acquire() as tx:
            now = await transaction_time(tx)
        began = time.perf_counter()
        outputs = await give(
            pool, ask(command, command_id=uuid4(), workspace_id=workspace_id, group_id=group_id), now=now
        )
        took = time.perf_counter() - began
        stepped = await steps(pool)
    changed, facts = said(outputs)[0], len(outputs) - 1
    return {"changed": changed, "facts": facts, "stepped": len(stepped), "took": took, "peak": _peak_mib()}


def _peak_mib() -> float:
    """The most memory this program had. What `getrusage` says includes the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_answer(*sys.argv[1:]))))
