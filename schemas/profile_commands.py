"""Commands about profiles, their notes, statuses and companies."""

from collections.abc import Mapping
from typing import cast

from msgspec.structs import force_setattr

from schemas.actors import CommandBase, TargetCommand
from schemas.changes import profile_changes, profile_fields
from schemas.fields import FieldValue, Id, Label, NoteText, Title, require_one, settle_moments


class CreateProfile(CommandBase, frozen=True, kw_only=True, gc=False, tag="create_profile"):
    """`fields` are custom fields by plain name."""

    profile_id: Id | None = None
    name: Title
    fields: dict[str, FieldValue] | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        if self.fields is not None:
            force_setattr(self, "fields", profile_fields(self.fields))


class UpdateProfile(CommandBase, frozen=True, kw_only=True, gc=False, tag="update_profile"):
    """`set` holds only `name` and `custom.*` keys."""

    profile_id: Id
    set: dict[str, FieldValue | dict[str, FieldValue]]

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        force_setattr(self, "set", profile_changes(self.set))

    @property
    def changes(self) -> Mapping[str, FieldValue]:
        """`set`, which has no objects any more."""
        return cast("Mapping[str, FieldValue]", self.set)


class DeleteProfile(CommandBase, frozen=True, kw_only=True, gc=False, tag="delete_profile"):
    profile_id: Id


class AttachContact(TargetCommand, frozen=True, kw_only=True, gc=False, tag="attach_contact"):
    """Exactly one of `profile_id` and `profile_name`."""

    profile_id: Id | None = None
    profile_name: Title | None = None

    def __post_init__(self) -> None:
        settle_moments(self, "issued_at")
        require_one(self, "contact_id", "identity")
        require_one(self, "profile_id", "profile_name")


class DetachContact(TargetCommand, frozen=True, kw_only=True, gc=False, tag="detach_contact"):
    pass


class AddNote(CommandBase, frozen=True, kw_only=True, gc=False, tag="add_note"):
    profile_id: Id
    note_id: Id | None = None
    text: NoteText


class EditNote(CommandBase, frozen=True, kw_only=True, gc=False, tag="edit_note"):
    profile_id: Id
    note_id: Id
    text: NoteText


class DeleteNote(CommandBase, frozen=True, kw_only=True, gc=False, tag="delete_note"):
    profile_id: Id
    note_id: Id


class DefineStatus(CommandBase, frozen=True, kw_only=True, gc=False, tag="define_status"):
    name: Label
    protected: bool


class DefineCompany(CommandBase, frozen=True, kw_only=True, gc=False, tag="define_company"):
    company_id: Id
    name: Title


class ProtectCompany(CommandBase, frozen=True, kw_only=True, gc=False, tag="protect_company"):
    company_id: Id


class UnprotectCompany(CommandBase, frozen=True, kw_only=True, gc=False, tag="unprotect_company"):
    company_id: Id


class SetProfileStatus(CommandBase, frozen=True, kw_only=True, gc=False, tag="set_profile_status"):
    """A null `status` leaves the profile without one."""

    profile_id: Id
    status: Label | None


class SetProfileCompanies(CommandBase, frozen=True, kw_only=True, gc=False, tag="set_profile_companies"):
    """The profile belongs to exactly these from now on; none is allowed."""

    profile_id: Id
    company_ids: tuple[Id, ...]


ProfileCommand = (
    CreateProfile
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
)
