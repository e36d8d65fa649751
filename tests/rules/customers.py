"""Commands about customers, and what became of them in a book."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.actors import Actor
from schemas.profile_commands import AttachContact, DetachContact, ProfileCommand
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.profile_book import ProfileBook
from workers.rules.profiles import decide
from workers.rules.results import Done, Refused, Result

START = datetime(2026, 1, 1, tzinfo=UTC)
ANNA = ("acme", UUID(int=1))
ACTOR = Actor(id="agent-1", role="agent", module="profiles")


def head(minute: int, number: int | None = None) -> dict[str, Any]:
    command_id = UUID(int=1000 + (minute if number is None else number))
    at = START + timedelta(minutes=minute)
    return {"command_id": command_id, "workspace_id": "acme", "actor": ACTOR, "issued_at": at}


def carry_out(book: ProfileBook, *commands: ProfileCommand) -> list[Done | str]:
    """What became of each command: done, or the reason it was refused."""
    return [
        said(
            decide(
                book,
                command,
                WriteStamp(command.issued_at, command.command_id),
                ANNA if isinstance(command, AttachContact | DetachContact) else None,
            )
        )
        for command in commands
    ]


def said(result: Result) -> Done | str:
    return result.reason if isinstance(result, Refused) else result


def book_with_anna() -> ProfileBook:
    return ProfileBook(memberships={ANNA: LastWrite(None)})


def attach(minute: int, **named: Any) -> AttachContact:
    return AttachContact(**head(minute), contact_id=ANNA[1], **named)
