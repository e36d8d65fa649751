"""Cells of CSV files: what is written is read again, whatever it is, and nothing is a formula."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.fields import FieldValue
from workers.rules import cells

# A CSV file keeps these as they are; a cell of blanks alone is empty.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(lambda text: text.strip() != "")


def written(cell: str) -> str:
    """The cell after a file was written and read."""
    file = StringIO(newline="")
    csv.writer(file).writerow([cell, ""])
    return next(csv.reader(StringIO(file.getvalue(), newline=""), strict=True))[0]


@given(TEXTS)
def test_a_text_is_read_as_it_was(text: str) -> None:
    assert cells.text(written(cells.cell(text))) == text


@given(TEXTS)
def test_no_text_is_a_formula(text: str) -> None:
    cell = cells.cell(text)

    assert cell[0] not in "=@\t\r"
    assert cell[0] not in "+-" or cell[1:].strip("0123456789 ().-") == ""


@given(st.lists(TEXTS, min_size=1))
def test_a_list_is_read_as_it_was(items: list[str]) -> None:
    assert cells.items(written(cells.cell(items))) == items


@given(st.lists(TEXTS, min_size=2, unique=True), st.data())
def test_the_chosen_options_of_a_field_are_read_as_they_were(options: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(options), min_size=1, unique=True))
    read = cells.field_value("list", options, written(cells.cell(chosen)))

    assert ([read] if isinstance(read, str) else read) == chosen


@given(st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_it_was(number: float) -> None:
    assert cells.field_value("number", (), cells.cell(number)) == number


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("number", "many", "many"),
        ("number", " 42 ", 42),
        ("checkbox", "Yes", True),
        ("checkbox", "0", False),
        ("checkbox", "perhaps", "perhaps"),
        ("text", "42", "42"),
        ("list", "a; b;", ["a", "b"]),
        ("list", "a;b", "a;b"),
        ("date", "2026-03-01", "2026-03-01"),
    ],
)
def test_a_cell_is_read_by_the_type_of_its_field(kind: str, cell: str, value: object) -> None:
    options = ["a;b"] if cell == "a;b" else ["a", "b"]

    assert cells.field_value(kind, options, cell) == value


@pytest.mark.parametrize(("value", "cell"), [(None, ""), (True, "true"), (3, "3"), (2.5, "2.5"), (["a", "b"], "a;b")])
def test_values_as_cells(value: FieldValue, cell: str) -> None:
    assert cells.cell(value) == cell


def test_numbers_that_are_dialled_stay_as_they_are() -> None:
    assert cells.cell("+49 151 (0) 123-45") == "+49 151 (0) 123-45"
    assert cells.cell("+cmd|' /C calc'!A0") == "'+cmd|' /C calc'!A0"


def test_what_begins_as_json_and_is_none_is_wrong() -> None:
    with pytest.raises(ValueError, match="JSON list"):
        cells.items("[a")
