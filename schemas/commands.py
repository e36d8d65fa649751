"""`contacts.commands`: all that a person or system may ask for, one struct per value of `command`."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from schemas.actors import Actor, CommandBase, Identity, TargetCommand
from schemas.changes import WorkspaceSettings
from schemas.contact_commands import (
    AddTag,
    AssignConversation,
    BlockContact,
    CloseConversation,
    Comment,
    DeleteContacts,
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
from schemas.profile_commands import (
    AddNote,
    AttachContact,
    CreateProfile,
    DefineCompany,
    DefineStatus,
    DeleteNote,
    DeleteProfile,
    DetachContact,
    EditNote,
    ProtectCompany,
    SetProfileCompanies,
    SetProfileStatus,
    UnprotectCompany,
    UpdateProfile,
)
from schemas.settings_commands import (
    ConfigureChannel,
    ConfigureWorkspace,
    ConfirmSend,
    DefineField,
    FieldType,
    RejectSend,
    SettleSend,
)

__all__ = [
    "Actor",
    "AddNote",
    "AddTag",
    "AssignConversation",
    "AttachContact",
    "BlockContact",
    "CloseConversation",
    "Command",
    "CommandBase",
    "Comment",
    "ConfigureChannel",
    "ConfigureWorkspace",
    "ConfirmSend",
    "CreateProfile",
    "DefineCompany",
    "DefineField",
    "DefineStatus",
    "DeleteContacts",
    "DeleteNote",
    "DeleteProfile",
    "DetachContact",
    "EditNote",
    "FieldType",
    "Identity",
    "InvalidCommand",
    "MergeContacts",
    "OpenConversation",
    "ProtectCompany",
    "RejectSend",
    "ReleaseDropped",
    "RemoveChannel",
    "RemoveTag",
    "SetProfileCompanies",
    "SetProfileStatus",
    "SettleSend",
    "SnoozeConversation",
    "TargetCommand",
    "UnblockContact",
    "UndoMerge",
    "UnprotectCompany",
    "UpdateContact",
    "UpdateProfile",
    "WorkspaceSettings",
]

Command = (
    BlockContact
    | UnblockContact
    | ReleaseDropped
    | UpdateContact
    | DefineField
    | AddTag
    | RemoveTag
    | RemoveChannel
    | MergeContacts
    | UndoMerge
    | DeleteContacts
    | OpenConversation
    | CloseConversation
    | AssignConversation
    | SnoozeConversation
    | Comment
    | CreateProfile
    | UpdateProfile
    | DeleteProfile
    | AttachContact
    | DetachContact
    | AddNote
    | EditNote
    | DeleteNote
    | DefineStatus
    | DefineCompany
    | ProtectCompany
    | UnprotectCompany
    | SetProfileStatus
    | SetProfileCompanies
    | ConfirmSend
    | RejectSend
    | SettleSend
    | ConfigureWorkspace
    | ConfigureChannel
)


class InvalidCommand(Struct, frozen=True, kw_only=True, gc=False):
    """A command whose head could be read and whose fields are wrong: refused as `invalid`, not a dead letter.

    `target` is what it named, as JSON text of at most 512 characters, for the audit log.
    """

    command_id: UUID
    workspace_id: str
    command: str
    actor: Actor
    issued_at: datetime | None
    error: str
    target: str | None
