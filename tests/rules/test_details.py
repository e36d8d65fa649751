"""What people write into contacts: which values fit, and which of two writes stays."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from schemas.fields import FieldValue
from workers.rules.custom_fields import FieldDefinition, FieldKey
from workers.rules.details import NOTHING, Details, fitted, same_values, write
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.results import Done, Refused

START = datetime(2026, 3, 1, tzinfo=UTC)
KNOWN: Mapping[FieldKey, FieldDefinition] = {
    ("acme", "contact", "size"): FieldDefinition("number", LastWrite(())),
    ("acme", "contact", "note"): FieldDefinition("text", LastWrite(())),
    ("acme", "profile", "tier"): FieldDefinition("text", LastWrite(())),
}


def stamp(minute: int, by: int = 1) -> WriteStamp:
    return WriteStamp(START + timedelta(minutes=minute), UUID(int=by))


def kept(region: str | None = None, **values: FieldValue) -> Mapping[str, FieldValue]:
    found = fitted("acme", values, KNOWN, region)
    assert not isinstance(found, Refused), found
    return found


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("first_name", " Ada ", " Ada "),
        ("phone", "+44 7911 123456", "+447911123456"),
        ("phone", "07911 123456", "+447911123456"),
        ("email", "Ada@Example.ORG", "ada@example.org"),
        ("country", "gb", "GB"),
        ("country", "AQ", "AQ"),
        ("language", "pt-BR", "pt-BR"),
        ("assignee", "u-7", "u-7"),
        ("phone", None, None),
        ("custom.size", 42.0, 42),
        ("custom.size", None, None),
    ],
)
def test_a_value_is_stored_in_one_form(field: str, value: FieldValue, stored: FieldValue) -> None:
    assert kept("GB", **{field: value}) == {field: stored}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", " "),
        ("last_name", "x" * 513),
        ("phone", "07911 123456"),  # nobody said in which region
        ("phone", "+44"),
        ("phone", "FLOWERS"),
        ("email", "ada"),
        ("country", "UK"),
        ("country", "GBR"),
        ("language", "english please"),
        ("language", "e"),
        ("assignee", "x" * 129),
        ("custom.size", "large"),
        ("custom.tier", "gold"),
        ("custom.shoe", 1),
    ],
)
def test_one_value_that_does_not_fit_refuses_all_and_is_not_repeated(field: str, value: FieldValue) -> None:
    refused = fitted("acme", {"custom.note": "fits", field: value}, KNOWN, None)

    assert isinstance(refused, Refused)
    assert refused.reason == "invalid"
    assert f"`set.{field}`" in refused.detail
    assert str(value) not in refused.detail.replace(f"`set.{field}`", "").replace("`number`", "") or value in (
        " ",
        1,
        "e",
    )


def test_a_field_of_another_workspace_is_not_known() -> None:
    assert isinstance(fitted("other", {"custom.size": 1}, KNOWN, None), Refused)


def test_a_write_says_which_fields_it_changed_and_not_to_what() -> None:
    done, after = write(NOTHING, {"first_name": "Ada", "custom.size": 42, "assignee": "u-7", "phone": None}, stamp(1))

    assert done == Done({"fields": ["first_name", "custom.size", "assignee"]})
    assert (after.edited, after.custom, after.assignee) == ({"first_name": "Ada"}, {"size": 42}, "u-7")
    assert write(after, {"first_name": "Ada"}, stamp(2))[0] == Done()


def test_null_gives_a_field_back_and_is_remembered_as_a_write() -> None:
    _, named = write(NOTHING, {"first_name": "Ada", "custom.size": 1}, stamp(1))
    done, cleared = write(named, {"first_name": None, "custom.size": None}, stamp(3))

    assert done == Done({"fields": ["first_name", "custom.size"]})
    assert (cleared.edited, cleared.custom) == ({}, {})
    assert write(cleared, {"first_name": "Late"}, stamp(2)) == (Done(), cleared)


def test_the_custom_fields_of_one_contact_have_a_bound_together() -> None:
    details = NOTHING
    for number in range(limits.CUSTOM_BYTES // limits.CUSTOM_TEXT - 1):
        result, details = write(details, {f"custom.f{number}": "x" * limits.CUSTOM_TEXT}, stamp(1))
        assert result == Done({"fields": [f"custom.f{number}"]})

    refused, after = write(details, {"custom.more": "x" * limits.CUSTOM_TEXT, "first_name": "Ada"}, stamp(1))

    assert isinstance(refused, Refused)
    assert "131,072 bytes" in refused.detail
    assert after == details


changes = st.dictionaries(
    st.sampled_from(["first_name", "phone", "assignee", "custom.size"]), st.sampled_from([None, "a", "b"]), min_size=1
)


@given(st.dictionaries(st.builds(stamp, st.integers(0, 2), st.integers(1, 2)), changes, min_size=1, max_size=4))
def test_per_value_the_later_write_stays_in_whatever_order_they_arrive(
    given: dict[WriteStamp, dict[str, FieldValue]],
) -> None:
    ends: list[Details] = []
    for order in permutations(given):
        details = NOTHING
        for at in order:
            _, details = write(details, given[at], at)
        ends.append(details)

    for field in {field for values in given.values() for field in values}:
        latest = max(at for at, values in given.items() if field in values)
        assert ends[0].written[field] == latest
    assert all(same_values(ends[0], end) and ends[0].written == end.written for end in ends)
