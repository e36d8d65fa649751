"""Notes on profiles: added, edited by the last write, and deleted for good (contract 2)."""

from dataclasses import replace
from typing import Final, assert_never

from schemas import limits
from schemas.ids import fact_id
from schemas.profile_commands import AddNote, DeleteNote, EditNote
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.profile_book import Note, ProfileBook
from workers.rules.results import NO_PROFILE, Done, Refused, Result

NoteCommand = AddNote | EditNote | DeleteNote

_NO_NOTE: Final = Refused("not_found", "`note_id`: this profile has no note with this id")
_NO_TEXT: Final = Refused("invalid", "`text`: expected a text with at least one visible character")
_TAKEN: Final = Refused("invalid", "`note_id`: expected an id that no note of this profile has or had, or none")
_FULL: Final = Refused("invalid", f"`profile_id`: expected a profile with fewer than {limits.NOTES_PER_PROFILE} notes")


def made_note_id(command: AddNote) -> str:
    """The id of a note whose command names none: the same each time the command is applied."""
    return str(fact_id("contacts.commands", command.workspace_id, str(command.command_id), "note"))


def note(book: ProfileBook, command: NoteCommand, stamp: WriteStamp) -> Result:
    """The result of a command, which is written into the book."""
    if book.profile((command.workspace_id, command.profile_id)) is None:
        return NO_PROFILE
    match command:
        case AddNote():
            return _add(book, command, stamp)
        case EditNote():
            return _edit(book, command, stamp)
        case DeleteNote():
            return _delete(book, command, stamp)
        case _:
            assert_never(command)


def _add(book: ProfileBook, command: AddNote, stamp: WriteStamp) -> Result:
    profile = (command.workspace_id, command.profile_id)
    note_id = command.note_id or made_note_id(command)
    if not command.text.strip():
        return _NO_TEXT
    if (*profile, note_id) in book.notes:
        return _TAKEN
    if book.note_counts.get(profile, 0) >= limits.NOTES_PER_PROFILE:
        return _FULL
    book.notes[*profile, note_id] = Note(LastWrite(command.text, stamp), command.actor.id, stamp.at)
    book.note_counts[profile] = book.note_counts.get(profile, 0) + 1
    return Done({"note_id": note_id})


def _edit(book: ProfileBook, command: EditNote, stamp: WriteStamp) -> Result:
    key = (command.workspace_id, command.profile_id, command.note_id)
    before = book.notes.get(key)
    # A deletion wins over every edit, the later ones included: there is no text left that they could change.
    if before is None or before.deleted is not None:
        return _NO_NOTE
    if not command.text.strip():
        return _NO_TEXT
    text = before.text.write(command.text, stamp)
    if text.value == before.text.value:
        book.notes[key] = replace(before, text=text)
        return Done()
    book.notes[key] = replace(before, text=text, edited_by=command.actor.id, edited_at=stamp.at)
    return Done({"note_id": command.note_id})


def _delete(book: ProfileBook, command: DeleteNote, stamp: WriteStamp) -> Result:
    profile = (command.workspace_id, command.profile_id)
    key = (*profile, command.note_id)
    before = book.notes.get(key)
    if before is None:
        return _NO_NOTE
    if before.deleted is not None:
        return Done()
    book.notes[key] = Note(LastWrite(""), before.created_by, before.created_at, deleted=stamp)
    book.note_counts[profile] = book.note_counts.get(profile, 0) - 1
    return Done({"note_id": command.note_id})
