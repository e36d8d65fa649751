"""Refusals that need no data: no permission, unreadable fields. And the families of commands that belong together."""

from typing import Any, Final, get_args

from schemas.commands import InvalidCommand
from schemas.contact_commands import (
    AddTag,
    AssignConversation,
    BlockContact,
    CloseConversation,
    Comment,
    CreateContact,
    DeleteContacts,
    ExportContacts,
    MergeContacts,
    OpenConversation,
    ReleaseDropped,
    RemoveChannel,
    RemoveTag,
    SnoozeConversation,
    UnblockContact,
    UndoMerge,
    UpdateContact,
)
from schemas.profile_commands import CreateProfile, ProfileCommand, UpdateProfile
from schemas.settings_commands import (
    CloseCycle,
    ConfigureChannel,
    ConfigureWorkspace,
    ConfirmSend,
    DefineField,
    RejectSend,
    SettleSend,
)
from workers.commands.command_record import CommandRecord
from workers.rules.permissions import forbids
from workers.rules.results import Refused

CONFIGURING: Final = (ConfigureWorkspace, ConfigureChannel)
BLOCKING: Final = (BlockContact, UnblockContact, ReleaseDropped)
ANSWERING: Final = (ConfirmSend, RejectSend)
SETTLING: Final = (SettleSend,)
CUSTOMERS: Final = get_args(ProfileCommand)
DETAILS: Final = (CreateContact, UpdateContact, AssignConversation, AddTag, RemoveTag)
WRITING: Final = (*DETAILS, DefineField, CreateProfile, UpdateProfile)
TALKING: Final = (OpenConversation, CloseConversation, SnoozeConversation, Comment)
OWNING: Final = (RemoveChannel, MergeContacts, UndoMerge)
DELETING: Final = (DeleteContacts,)
MOVING: Final = (*OWNING, *DELETING)
"""Commands after which an address, or a contact's id, leads to another contact."""
CLOSING: Final = (CloseCycle,)
AUDITED: Final = (ExportContacts,)
"""Commands that only leave a row in the audit log."""


def refusal(asked: CommandRecord[Any]) -> Refused | None:
    """Why a command is refused without loading anything, or None."""
    if isinstance(asked.command, InvalidCommand):
        return Refused("invalid", asked.command.error)
    if (forbidden := forbids(asked.name, asked.command.actor)) is not None:
        return Refused("not_permitted", forbidden)
    return None
