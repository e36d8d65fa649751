"""The parts that all commands share: actor, target, head."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from schemas.fields import (
    CHANNEL_SCOPED,
    Address,
    Channel,
    ChannelId,
    Id,
    Moment,
    Role,
    WorkspaceId,
    require_one,
    settle_moments,
)

Restriction = Literal["contact_deletion", "data_export", "settings"]
Module = Literal["inbox", "contacts", "profiles", "settings", "api"]


class Actor(Struct, frozen=True, kw_only=True, gc=False):
    """The user or system that gives the command, and the module it comes from. Restrictions bind managers."""

    id: Id
    role: Role
    restrictions: tuple[Restriction, ...] | None = None
    module: Module


class Identity(Struct, frozen=True, kw_only=True, gc=False):
    """One address of a person. `channel_id` is needed for kinds whose addresses have a meaning only within one
    account.
    """

    channel: Channel
    address: Address
    channel_id: ChannelId | None = None

    def __post_init__(self) -> None:
        if self.channel_id is None and self.channel in CHANNEL_SCOPED:
            raise ValueError("Expected `channel_id` beside the address of this channel")


class CommandBase(Struct, frozen=True, kw_only=True, gc=False, tag_field="command"):
    """The head of every command. `command_id` is its idempotency key; `issued_at` is in UTC."""

    command_id: UUID
    workspace_id: WorkspaceId
    actor: Actor
    issued_at: Moment

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")


class TargetCommand(CommandBase, frozen=True, kw_only=True, gc=False):
    """A command about one contact, named by exactly one of `contact_id` and `identity`."""

    contact_id: UUID | None = None
    identity: Identity | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_one(self, "contact_id", "identity")
