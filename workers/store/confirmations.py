"""Evidence of what people confirmed. Rows are added and never changed."""

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from workers.store.connection import Connection
from workers.store.queries import load
from workers.store.sends import Send, SendKey, as_bytea, as_json

_SQL: Final = load("confirmations")

Outcome = Literal["released", "held", "refused"]
"""What a confirmation led to. `held`: there were reasons that the person had not been shown."""


class ConfirmationRow(Struct, frozen=True, kw_only=True):
    """A row of `send_confirmations`, field by field (the table explains them)."""

    workspace_id: str
    send_id: UUID
    given_by: str
    confirmed_by: str
    role: str | None
    confirmed_at: datetime
    content_sha256: str
    reasons: tuple[str, ...]
    outcome: Outcome

    @property
    def send_key(self) -> SendKey:
        return self.workspace_id, self.send_id


def digest(send: Send) -> str:
    """SHA-256 of the content as `sends.dispatch` carries it, in the notation of `bytea`."""
    return as_bytea(hashlib.sha256(send.content).digest())


async def add(tx: Connection, given: Collection[ConfirmationRow]) -> None:
    """Stores confirmations. One that is already stored stays as it is."""
    if given:
        await tx.execute(_SQL["add"], as_json(given))
