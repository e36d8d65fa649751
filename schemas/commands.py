"""The topic `contacts.commands`: one struct for each value of `command`."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from schemas.actors import Actor
from schemas.contact_commands import ContactCommand
from schemas.profile_commands import ProfileCommand
from schemas.settings_commands import SettingsCommand

Command = ContactCommand | ProfileCommand | SettingsCommand


class InvalidCommand(Struct, frozen=True, kw_only=True, gc=False):
    """A command whose head could be read and whose fields are wrong: refused as `invalid`, not a dead letter.

    `error` says which field is wrong, which shape came and which one fits. `target` is what it named, as JSON text of
    at most 512 characters, for the audit log.
    """

    command_id: UUID
    workspace_id: str
    command: str
    actor: Actor
    issued_at: datetime | None
    error: str
    target: str | None
