"""Commands about contacts, their conversations and channels."""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta

from schemas.actors import CommandBase, Identity, TargetCommand
from schemas.changes import require_changes, require_contact_fields
from schemas.fields import Count, FieldValue, Id, Label, Moment, Text, Written, require_one, settle_moments


class BlockContact(TargetCommand, frozen=True, kw_only=True, gc=False, tag="block_contact"):
    note: Text | None = None


class UnblockContact(TargetCommand, frozen=True, kw_only=True, gc=False, tag="unblock_contact"):
    pass


class ReleaseDropped(
    TargetCommand,
    frozen=True,
    kw_only=True,
    gc=False,
    tag="release_dropped",
    rename={"from_": "from"},
):
    """Either `message_ids`, or the event times between `from` (included) and `to` (excluded)."""

    message_ids: Annotated[tuple[UUID, ...], Meta(min_length=1)] | None = None
    from_: Moment | None = None
    to: Moment | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at", "from_", "to")
        require_one(self, "contact_id", "identity")
        if self.message_ids is not None:
            if self.from_ is not None or self.to is not None:
                raise ValueError("Expected `message_ids` or `from` and `to`, not both")
        elif self.from_ is None or self.to is None:
            raise ValueError("Expected `message_ids`, or both `from` and `to`")
        elif self.from_ >= self.to:
            raise ValueError("Expected `from` before `to`")


class CreateContact(CommandBase, frozen=True, kw_only=True, gc=False, tag="create_contact"):
    """`set` has the same keys as that of `update_contact`. It may be empty."""

    identity: Identity
    set: dict[str, FieldValue] | None = None
    tags: tuple[Label, ...] | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_contact_fields(self.set or {})


class ExportContacts(CommandBase, frozen=True, kw_only=True, gc=False, tag="export_contacts"):
    """`filter` is what the export is asked for; it is not stored."""

    filter: Text | dict[str, Any] | None = None


class UpdateContact(TargetCommand, frozen=True, kw_only=True, gc=False, tag="update_contact"):
    """`set` has the contact's own fields as text or null, and `custom.*`."""

    set: dict[str, FieldValue]

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_one(self, "contact_id", "identity")
        require_changes(self.set)


class AddTag(TargetCommand, frozen=True, kw_only=True, gc=False, tag="add_tag"):
    tag: Label


class RemoveTag(TargetCommand, frozen=True, kw_only=True, gc=False, tag="remove_tag"):
    tag: Label


class RemoveChannel(CommandBase, frozen=True, kw_only=True, gc=False, tag="remove_channel"):
    contact_id: UUID | None = None
    identity: Identity


class MergeContacts(CommandBase, frozen=True, kw_only=True, gc=False, tag="merge_contacts"):
    survivor_id: UUID
    loser_id: UUID
    choices: dict[str, Literal["survivor", "loser"]] | None = None


class UndoMerge(CommandBase, frozen=True, kw_only=True, gc=False, tag="undo_merge"):
    merge_id: UUID


class DeleteContacts(CommandBase, frozen=True, kw_only=True, gc=False, tag="delete_contacts"):
    """Exactly one of `contact_ids` and `all`."""

    contact_ids: Annotated[tuple[UUID, ...], Meta(min_length=1)] | None = None
    all: Literal[True] | None = None
    expected_count: Count

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_one(self, "contact_ids", "all")


class OpenConversation(TargetCommand, frozen=True, kw_only=True, gc=False, tag="open_conversation"):
    pass


class CloseConversation(TargetCommand, frozen=True, kw_only=True, gc=False, tag="close_conversation"):
    pass


class AssignConversation(TargetCommand, frozen=True, kw_only=True, gc=False, tag="assign_conversation"):
    """A null `assignee` removes the present assignee."""

    assignee: Id | None


class SnoozeConversation(TargetCommand, frozen=True, kw_only=True, gc=False, tag="snooze_conversation"):
    until: Moment

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at", "until")
        require_one(self, "contact_id", "identity")


class Comment(TargetCommand, frozen=True, kw_only=True, gc=False, tag="comment"):
    text: Written


ContactCommand = (
    BlockContact
    | UnblockContact
    | ReleaseDropped
    | CreateContact
    | UpdateContact
    | ExportContacts
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
)
