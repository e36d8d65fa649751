"""What is refused without looking at any data: who may not, what cannot be read, what this version cannot do."""

from typing import Any, Final

from schemas.commands import (
    AttachContact,
    BlockContact,
    ConfigureChannel,
    ConfigureWorkspace,
    ConfirmSend,
    CreateProfile,
    DefineCompany,
    DefineStatus,
    DetachContact,
    InvalidCommand,
    ProtectCompany,
    RejectSend,
    ReleaseDropped,
    SetProfileCompanies,
    SetProfileStatus,
    UnblockContact,
    UnprotectCompany,
)
from workers.commands.asked import Asked
from workers.rules.permissions import permits
from workers.rules.results import Refused

CONFIGURING: Final = (ConfigureWorkspace, ConfigureChannel)
BLOCKING: Final = (BlockContact, UnblockContact, ReleaseDropped)
ANSWERING: Final = (ConfirmSend, RejectSend)
ATTACHING: Final = (AttachContact, DetachContact)
CUSTOMERS: Final = (
    *ATTACHING,
    CreateProfile,
    DefineStatus,
    SetProfileStatus,
    DefineCompany,
    SetProfileCompanies,
    ProtectCompany,
    UnprotectCompany,
)
_SUPPORTED: Final = (*CONFIGURING, *BLOCKING, *ANSWERING, *CUSTOMERS)


def refusal(asked: Asked[Any]) -> Refused | None:
    """Why a command is not even looked at, or None."""
    if isinstance(asked.command, InvalidCommand):
        return Refused("invalid")
    if not permits(asked.name, asked.command.actor):
        return Refused("not_permitted")
    return None if isinstance(asked.command, _SUPPORTED) else Refused("not_supported")
