"""Holds end by themselves when nobody answered in time, by the database's clock (contract 4.4)."""

from datetime import datetime
from typing import Final

from workers.outbound import changes
from workers.outbound.changes import Changes
from workers.outbound.telling import Cause, origin_in
from workers.runtime.batch import Connection, Output
from workers.store import sends

LIMIT: Final = 500


async def expire(tx: Connection, now: datetime) -> list[Output]:
    """Expire up to 500 holds; call again at once while something comes back."""
    made = Changes(now)
    for send in await sends.lock_expired(tx, now, LIMIT):
        made.end(send, "expired", Cause("expiry", origin_in(send)))
    return await changes.save(tx, made)
