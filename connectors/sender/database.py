"""PostgreSQL for senders: claims, the state of attempts, and who else sends. Needs the role `sluice_sender`."""

from importlib.resources import files
from typing import Final, NamedTuple
from uuid import UUID

from schemas.outputs import SendDispatch
from workers.process.postgres import Postgres


def _query(name: str) -> str:
    return files(__package__).joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


_CLAIM: Final = _query("claim")
_ATTEMPT: Final = _query("attempt")
_JOIN: Final = _query("join")
_LEAVE: Final = _query("leave")


class Claim(NamedTuple):
    """Whether an attempt may be made; if not, why."""

    granted: bool
    reason: str | None


class AttemptState(NamedTuple):
    """What receipts said of an attempt, and how long ago it was claimed."""

    status: str
    claimed_s_ago: float


class Database(Postgres):
    """The database of a sender. Each statement is a transaction of its own."""

    def __init__(self, url: str) -> None:
        super().__init__(url, "sender", "sluice_sender")

    async def claim(self, send: SendDispatch) -> Claim:
        """Claims an attempt; once this has returned, the claim is committed."""
        [(granted, reason)] = await self.fetch(_CLAIM, send.workspace_id, send.send_id, send.attempt)
        return Claim(granted, reason)

    async def attempt(self, send: SendDispatch) -> AttemptState | None:
        """The state of a claimed attempt; None if it was not claimed."""
        rows = await self.fetch(_ATTEMPT, send.workspace_id, send.send_id, send.attempt)
        return AttemptState(*rows[0]) if rows and rows[0][1] is not None else None

    async def join(self, group: str, member: UUID, channels: bytes) -> bool:
        """Whether this member may serve these channels (a digest) for the next minute."""
        [(joined,)] = await self.fetch(_JOIN, group, member, channels)
        return bool(joined)

    async def leave(self, group: str, member: UUID) -> None:
        """Ends the membership."""
        await self.fetch(_LEAVE, group, member)
