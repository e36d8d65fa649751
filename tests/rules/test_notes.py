"""Notes on profiles."""

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from schemas.profile_commands import AddNote, CreateProfile, DeleteNote, DeleteProfile, EditNote
from tests.rules.customers import carry_out, head
from workers.rules.notes import made_note_id
from workers.rules.profile_book import ProfileBook
from workers.rules.results import Done

KEY = ("acme", "p-1", "n-1")
ADDED = Done({"note_id": "n-1"})


def with_a_profile() -> ProfileBook:
    book = ProfileBook()
    carry_out(book, CreateProfile(**head(0), profile_id="p-1", name="Ada"))
    return book


def add(minute: int, text: str = "Hello", note_id: str | None = "n-1", **others: Any) -> AddNote:
    return AddNote(**(head(minute) | {"profile_id": "p-1"} | others), note_id=note_id, text=text)


def edit(minute: int, text: str, number: int | None = None, note_id: str = "n-1") -> EditNote:
    return EditNote(**head(minute, number), profile_id="p-1", note_id=note_id, text=text)


def delete(minute: int, note_id: str = "n-1") -> DeleteNote:
    return DeleteNote(**head(minute), profile_id="p-1", note_id=note_id)


def test_a_note_tells_who_wrote_it_and_who_edited_it() -> None:
    book = with_a_profile()
    assert carry_out(book, add(1), edit(2, "Hello again")) == [ADDED, ADDED]
    note = book.notes[KEY]
    assert (note.text.value, note.created_by, note.edited_by) == ("Hello again", "agent-1", "agent-1")
    assert note.edited_at == edit(2, "").issued_at


def test_a_note_without_an_id_gets_one_that_is_the_same_whenever_the_command_is_applied() -> None:
    one, two = add(1, note_id=None), add(2, note_id=None)
    assert made_note_id(one) == made_note_id(one) != made_note_id(two)
    assert carry_out(with_a_profile(), one) == [Done({"note_id": made_note_id(one)})]


def test_an_id_that_a_note_has_or_had_is_refused() -> None:
    assert carry_out(with_a_profile(), add(1), add(2), delete(3), add(4)) == [ADDED, "invalid", ADDED, "invalid"]


def test_a_note_needs_a_text_that_can_be_seen() -> None:
    assert carry_out(with_a_profile(), add(1, " \n"), add(1), edit(2, "\t")) == ["invalid", ADDED, "invalid"]


def test_an_edit_to_the_same_text_changes_nothing_and_still_wins_against_an_older_one() -> None:
    book = with_a_profile()
    assert carry_out(book, add(1), edit(5, "Hello"), edit(3, "Bye")) == [ADDED, Done(), Done()]
    assert (book.notes[KEY].text.value, book.notes[KEY].edited_by) == ("Hello", None)


@given(st.lists(st.tuples(st.integers(2, 4), st.sampled_from("abc")), min_size=1, max_size=4))
def test_the_text_is_that_of_the_latest_edit_in_whatever_order_they_arrive(edits: list[tuple[int, str]]) -> None:
    commands = [edit(minute, text, number) for number, (minute, text) in enumerate(edits)]
    latest = max(commands, key=lambda command: (command.issued_at, command.command_id))
    for order in permutations(commands):
        book = with_a_profile()
        carry_out(book, add(1), *order)
        assert book.notes[KEY].text.value == latest.text


def test_a_deletion_wins_over_every_edit_and_leaves_no_text() -> None:
    for minute in (2, 9):
        book = with_a_profile()
        assert carry_out(book, add(1), delete(5), edit(minute, "Back")) == [ADDED, ADDED, "not_found"]
        assert book.notes[KEY].text.value == ""


def test_an_older_deletion_that_comes_late_deletes_as_well() -> None:
    book = with_a_profile()
    assert carry_out(book, add(1), edit(7, "Later"), delete(5))[2] == ADDED
    assert book.notes[KEY].deleted is not None


def test_deleting_again_changes_nothing() -> None:
    assert carry_out(with_a_profile(), add(1), delete(2), delete(3))[2] == Done()


def test_what_is_not_there_is_not_found() -> None:
    gone = DeleteProfile(**head(2), profile_id="p-1")
    assert carry_out(with_a_profile(), edit(1, "x"), delete(1), add(1, profile_id="p-9")) == ["not_found"] * 3
    assert (
        carry_out(with_a_profile(), add(1), gone, edit(3, "x"), delete(3), add(3, note_id="n-2"))[2:]
        == ["not_found"] * 3
    )


def test_a_full_profile_takes_no_further_note_until_one_is_deleted() -> None:
    book = with_a_profile()
    carry_out(book, add(1))
    book.note_counts["acme", "p-1"] = limits.NOTES_PER_PROFILE
    assert carry_out(book, add(2, note_id="n-2"), delete(3), add(4, note_id="n-2")) == [
        "invalid",
        ADDED,
        Done({"note_id": "n-2"}),
    ]
