"""Commands about sends and settings."""

from typing import Literal
from uuid import UUID

from schemas.actors import CommandBase
from schemas.changes import WorkspaceSettings
from schemas.fields import Channel, ChannelId, Id, Label, Moment, Region, Title, require_one, settle_moments
from schemas.regions import require_region

FieldType = Literal["text", "number", "checkbox", "date", "time", "url", "email", "list"]


class _HoldCommand(CommandBase, frozen=True, kw_only=True, gc=False):
    send_id: UUID | None = None
    group_id: Id | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_one(self, "send_id", "group_id")


class ConfirmSend(_HoldCommand, frozen=True, kw_only=True, gc=False, tag="confirm_send"):
    """Exactly one of `send_id` and `group_id`."""


class RejectSend(_HoldCommand, frozen=True, kw_only=True, gc=False, tag="reject_send"):
    """Exactly one of `send_id` and `group_id`."""


class SettleSend(CommandBase, frozen=True, kw_only=True, gc=False, tag="settle_send", rename={"as_": "as"}):
    send_id: UUID
    as_: Literal["sent", "failed", "retry"]


class DefineField(CommandBase, frozen=True, kw_only=True, gc=False, tag="define_field"):
    scope: Literal["contact", "profile"]
    name: Label
    type: FieldType
    options: tuple[Label, ...] | None = None


class ConfigureWorkspace(CommandBase, frozen=True, kw_only=True, gc=False, tag="configure_workspace"):
    set: WorkspaceSettings


class ConfigureChannel(CommandBase, frozen=True, kw_only=True, gc=False, tag="configure_channel"):
    channel_id: ChannelId
    channel: Channel
    name: Title | None = None
    default_region: Region | None = None
    count: bool | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_region(self.default_region)


class CloseCycle(CommandBase, frozen=True, kw_only=True, gc=False, tag="close_cycle"):
    cycle_start: Moment
    reason: Title

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at", "cycle_start")


SettingsCommand = (
    DefineField | ConfirmSend | RejectSend | SettleSend | ConfigureWorkspace | ConfigureChannel | CloseCycle
)
