"""Errors contain the shape of a value, and nothing of its content."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.commands import InvalidCommand
from schemas.decoding import decode_command
from schemas.shapes import shape, with_shape
from tests.schemas.samples import OTHER, command, raw

MARKER = "marker-of-content"


def error(name: str, /, **changes: object) -> str:
    value = decode_command(raw(command(name, **changes)))
    assert isinstance(value, InvalidCommand), value
    return value.error


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "a boolean"),
        (7, "a number"),
        (0.5, "a number"),
        ("x", "a text of 1 character"),
        ("", "a text of 0 characters"),
        (["x", "y"], "a list of 2 items"),
        ({"x": 1}, "an object of 1 field"),
    ],
)
def test_every_kind_of_value_has_a_shape(value: Any, said: str) -> None:
    assert shape(value) == said


@pytest.mark.parametrize(
    ("name", "changes", "fields", "came"),
    [
        ("add_tag", {"tag": "x" * 600}, ["tag"], "a text of 600 characters"),
        ("configure_channel", {"channel": MARKER}, ["channel"], "a text of 17 characters"),
        ("configure_workspace", {"set": {"anchor_day": 32}}, ["set.anchor_day"], "a number"),
        ("configure_workspace", {"set": {"time_zone": MARKER}}, ["time_zone"], "`time_zone`: a text of 17 characters"),
        ("configure_workspace", {"set": {}}, ["set"], "an object of 0 fields"),
        ("update_contact", {"set": {"first_name": 7}}, ["first_name"], "`first_name`: a number"),
        ("update_contact", {"set": {"first_name": MARKER * 40}}, ["first_name"], "a text of 680 characters"),
        ("set_profile_companies", {"company_ids": ["c", ""]}, ["company_ids[1]"], "a text of 0 characters"),
        ("confirm_send", {"send_id": None}, ["send_id", "group_id"], "`send_id`: null"),
        (
            "delete_contacts",
            {"all": True, "contact_ids": [OTHER]},
            ["contact_ids", "all"],
            "`contact_ids`: a list of 1 item, `all`: a boolean",
        ),
        ("unblock_contact", {"identity": {"channel": "line", "address": MARKER}}, ["channel_id"], "nothing"),
    ],
)
def test_an_invalid_command_says_field_and_shape(
    name: str, changes: dict[str, object], fields: list[str], came: str
) -> None:
    said = error(name, **changes)

    assert said.endswith(came), said
    assert all(field in said for field in fields), said
    assert MARKER not in said


def test_an_error_that_tells_what_came_is_left_as_it_is() -> None:
    assert (
        with_shape("Expected `str`, got `int` - at `$.tag`", b'{"tag": 7}') == "Expected `str`, got `int` - at `$.tag`"
    )


def test_of_several_values_that_the_error_does_not_tell_apart_none_is_described() -> None:
    said = "Unknown value - at `$.choices[...]`"
    assert with_shape(said, b'{"choices": {"phone": "a", "email": "bb"}}') == said


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@given(json)
def test_no_shape_shows_content(value: Any) -> None:
    words = set(shape(value).split()) - {"a", "an", "of", "null", "boolean", "number", "text", "list", "object"}
    assert {w for w in words if not w.isdigit()} <= {"characters", "character", "items", "item", "fields", "field"}
