"""Commands about contacts, their conversations and channels."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from msgspec.structs import force_setattr

from schemas.actors import CommandBase, Identity, TargetCommand
from schemas.changes import contact_changes
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


class UpdateContact(TargetCommand, frozen=True, kw_only=True, gc=False, tag="update_contact"):
    """`set` holds only known keys: the contact's own fields as text or null, and `custom.*`."""

    set: dict[str, FieldValue]

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_one(self, "contact_id", "identity")
        force_setattr(self, "set", contact_changes(self.set))


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
    """A null `assignee` takes the conversation from whoever has it."""

    assignee: Id | None


class SnoozeConversation(TargetCommand, frozen=True, kw_only=True, gc=False, tag="snooze_conversation"):
    until: Moment

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at", "until")
        require_one(self, "contact_id", "identity")


class Comment(TargetCommand, frozen=True, kw_only=True, gc=False, tag="comment"):
    text: Written
