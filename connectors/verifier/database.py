"""What the trials ask PostgreSQL, by public views and `claim_send`. Needs the role `sluice_reader`, and for the claim
`sluice_sender`.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from connectors.verifier.promises import SeenAttempt
from schemas.fields import Channel
from workers.app.settings import Settings

_STATEMENT_S: Final = 10.0


def _query(name: str) -> str:
    return files(__package__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


_CHANNEL: Final = _query("channel")
_SEND: Final = _query("send")
_ATTEMPTS: Final = _query("attempts")
_CLAIM: Final = _query("claim")


class KnownChannel(NamedTuple):
    """A channel. `is_test`: nothing that happens there is counted, now."""

    kind: Channel
    is_test: bool


class Standing(NamedTuple):
    """Where a send stands."""

    status: str
    reason: str | None


class Views:
    """One connection. Every method raises as asyncpg does."""

    def __init__(self, connection: Any, workspace_id: str) -> None:
        self._connection = connection
        self._workspace_id = workspace_id

    async def channel(self, channel_id: str) -> KnownChannel | None:
        """The channel; None if the workspace has no such one."""
        row = await self._connection.fetchrow(_CHANNEL, self._workspace_id, channel_id)
        return None if row is None else KnownChannel(row["channel"], bool(row["is_test"]))

    async def send(self, send_id: UUID) -> Standing | None:
        """A send; None if it is not known yet."""
        row = await self._connection.fetchrow(_SEND, self._workspace_id, send_id)
        return None if row is None else Standing(*row)

    async def attempts(self, send_ids: Collection[UUID]) -> list[SeenAttempt]:
        """The attempts of these sends."""
        rows = await self._connection.fetch(_ATTEMPTS, self._workspace_id, list(send_ids))
        return [SeenAttempt(*row) for row in rows]

    async def claim(self, send_id: UUID, attempt: int) -> str | None:
        """Claims an attempt; why it was denied, None if it was granted."""
        granted, reason = await self._connection.fetchrow(_CLAIM, self._workspace_id, send_id, attempt)
        return None if granted else str(reason)


@asynccontextmanager
async def views(settings: Settings, workspace_id: str) -> AsyncIterator[Views]:
    """The views of a workspace, connected inside the block."""
    connection = await asyncpg.connect(
        settings.required_database_url(),
        command_timeout=_STATEMENT_S,
        server_settings={"application_name": "sluice-verify"},
    )
    try:
        yield Views(connection, workspace_id)
    finally:
        await connection.close()
