"""Rows of a CSV file as commands: their fields, their ids, and what is wrong with a file."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from workers.cli.bulk.rows import Kind, Row, Sheet, Wrong, rows
from workers.errors import SettingsError

CONTACTS = Sheet("acme", "contacts", {"seats": ("number", ()), "plan": ("list", ("basic", "pro"))})


def read(path: Path, text: str, kind: Kind = "contacts", delimiter: str = ",", *, channel: bool = True) -> list[Row]:
    path.write_text(text, encoding="utf-8")
    with rows(path, kind, delimiter, with_channel=channel) as found:
        return list(found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def fields(sheet: Sheet, row: Row) -> list[tuple[str, Any]]:
    return [(step.command, msgspec.to_builtins(step.fields)) for step in sheet.steps(row)]


def test_a_row_is_a_command_with_its_fields(path: Path) -> None:
    text = (
        "channel,address,channel_id,first_name,tags,custom.seats,custom.plan,display_name\n"
        'sms,+4915112345678,,"O\'Hara, Ada",a;b;a,3,pro,x\n'
        "line,u1,line-1,,,,,\n"
    )
    first, second = read(path, text)

    identity = {"channel": "sms", "address": "+4915112345678"}
    values = {"first_name": "O'Hara, Ada", "custom.seats": 3, "custom.plan": "pro"}
    assert fields(CONTACTS, first) == [("create_contact", {"identity": identity, "set": values, "tags": ["a", "b"]})]
    other = {"channel": "line", "address": "u1", "channel_id": "line-1"}
    assert fields(CONTACTS, second) == [("create_contact", {"identity": other})]


def test_known_contacts_get_the_values_as_well_if_asked(path: Path) -> None:
    [row] = read(path, "address,country,tags\n+4915112345678,GB,a;b\n")
    update = Sheet("acme", "contacts", channel="sms", update=True)

    assert [name for name, _ in fields(update, row)] == ["create_contact", "update_contact", "add_tag", "add_tag"]
    assert len({step.id for step in update.steps(row)}) == 4


def test_a_profile_has_its_fields_by_plain_name(path: Path) -> None:
    [row] = read(path, "profile_id,name,custom.size\np-1,Ada Ltd,7\n", "profiles")
    sheet = Sheet("acme", "profiles", {"size": ("number", ())})

    assert fields(sheet, row) == [("create_profile", {"profile_id": "p-1", "name": "Ada Ltd", "fields": {"size": 7}})]


def test_the_id_is_made_from_what_is_in_the_row_and_not_from_where_it_is(path: Path) -> None:
    def ids(sheet: Sheet, text: str) -> list[Any]:
        return [sheet.steps(row)[0].id for row in read(path, text)]

    a, b = ids(CONTACTS, "channel,address\nsms,+4915112345678\nsms,+4915112345679\n")
    assert a != b
    assert ids(CONTACTS, "address,channel,email\n+4915112345679,sms,\n+4915112345678,sms,\n") == [b, a]
    assert ids(CONTACTS, "address,channel,email\n+4915112345679,sms,a@b.example\n") != [b]
    assert ids(Sheet("other", "contacts"), "channel,address\nsms,+4915112345678\n") != [a]
    assert ids(Sheet("acme", "contacts", again="2"), "channel,address\nsms,+4915112345678\n") != [a]


def test_a_byte_order_mark_other_separators_and_empty_lines_do_not_matter(path: Path) -> None:
    found = read(path, '\ufeffchannel;address\n\nsms;1\n\n\nsms;"2\n3"\nsms;4\n', delimiter=";")

    assert [(row.line, row.cells and row.cells["address"]) for row in found] == [(3, "1"), (6, "2\n3"), (8, "4")]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("channel,address\nsms\n", ""),
        ("channel,address\nsms, \n", "address"),
        ("channel,address\nfax,1\n", "channel"),
        ("channel,address,tags\nsms,1,[a\n", "tags"),
        ("channel,address,custom.plan\nsms,1,[a\n", "custom.plan"),
    ],
)
def test_a_row_that_cannot_be_read_says_where(path: Path, text: str, column: str) -> None:
    [row] = read(path, text)
    with pytest.raises(Wrong) as found:
        CONTACTS.steps(row)

    assert found.value.column == column


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column 'address'"),
        ("channel\n", "has no column 'address'"),
        ("address\n", "has no column 'channel'; or give --channel"),
        ("channel,address,colour\n", "has the column 'colour'; the first line names the columns, of address, "),
        ("channel,address,channel\n", "has the column 'channel' twice"),
        ('channel,address\nsms,"1\n', "cannot be read as CSV"),
    ],
)
def test_a_file_that_is_none_of_these_is_wrong_use(path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read(path, text, channel=False)


def test_a_file_that_is_not_there_or_no_text_is_wrong_use(path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"), rows(path, "contacts", ",", with_channel=True):
        pass
    path.write_bytes(b"channel,address\nsms,\xff\n")
    with pytest.raises(SettingsError, match="cannot be read"), rows(path, "contacts", ",", with_channel=True) as found:
        list(found)
