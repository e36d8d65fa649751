"""Custom fields: which values fit, and who defines them."""

import math
from datetime import UTC, datetime
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from schemas.actors import Actor
from schemas.fields import FieldValue
from schemas.settings_commands import DefineField, FieldType
from workers.rules.custom_fields import FieldDefinition, FieldKey, Misfit, define, fitted
from workers.rules.last_write_wins import LastWrite, WriteStamp
from workers.rules.results import Done, Refused, Result

AT = datetime(2026, 3, 1, tzinfo=UTC)
KEY: FieldKey = ("acme", "contact", "size")

FITS: list[tuple[FieldType, FieldValue]] = [
    ("text", ""), ("text", "x" * limits.CUSTOM_TEXT), ("number", -7), ("number", 0.5), ("number", limits.MAX_COUNT),
    ("checkbox", True), ("checkbox", False), ("date", "1985-02-28"), ("date", "2024-02-29"), ("time", "09:30"),
    ("time", "23:59:59"), ("url", "https://example.com"), ("url", "HTTP://example.com/a?b#c"), ("email", "Ada@x.org"),
    ("list", "S"), ("list", ["S", "L"]), ("list", []),
]  # fmt: skip
FITS_NOT: list[tuple[FieldType, FieldValue]] = [
    ("text", 7), ("text", ["x"]), ("text", "x" * (limits.CUSTOM_TEXT + 1)), ("number", "7"), ("number", True),
    ("number", math.nan), ("number", math.inf), ("number", limits.MAX_COUNT + 1), ("checkbox", 1), ("checkbox", "true"),
    ("date", "2026-02-29"), ("date", "20260301"), ("date", "2026-03-01T00:00:00Z"), ("time", "24:00"), ("time", "9:30"),
    ("url", "example.com"), ("url", "ftp://example.com"), ("url", "https://a b"), ("url", "https:///path"),
    ("url", "https://x/" + "y" * limits.CUSTOM_URL), ("email", "ada"), ("email", "Ada <ada@x.org>"), ("list", "XL"),
    ("list", ["S", "S"]), ("list", ["S", "XL"]), ("list", 7),
]  # fmt: skip


def field(kind: FieldType, *options: str) -> FieldDefinition:
    return FieldDefinition(kind, LastWrite(options or (("S", "L") if kind == "list" else ())))


def ask(kind: FieldType, options: tuple[str, ...] | None = None, name: str = "size") -> DefineField:
    actor = Actor(id="olga", role="owner", module="settings")
    return DefineField(
        command_id=UUID(int=1),
        workspace_id="acme",
        actor=actor,
        issued_at=AT,
        scope="contact",
        name=name,
        type=kind,
        options=options,
    )


def stamp(number: int) -> WriteStamp:
    return WriteStamp(AT, UUID(int=number))


@pytest.mark.parametrize(("kind", "value"), FITS)
def test_what_fits_is_kept_as_it_came(kind: FieldType, value: FieldValue) -> None:
    assert fitted(field(kind), value) == value


@pytest.mark.parametrize(("kind", "value"), FITS_NOT)
def test_what_does_not_fit_is_refused_with_what_would(kind: FieldType, value: FieldValue) -> None:
    refused = fitted(field(kind), value)

    assert isinstance(refused, Misfit)
    assert refused.expected


@pytest.mark.parametrize("kind", [kind for kind, _ in FITS])
def test_null_fits_every_field(kind: FieldType) -> None:
    assert fitted(field(kind), None) is None


def test_a_number_without_a_fraction_is_whole() -> None:
    assert type(fitted(field("number"), 5.0)) is int


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.lists(st.text(max_size=2))))
def test_what_was_kept_fits_again(value: FieldValue) -> None:
    for kind in ("text", "number", "checkbox", "date", "time", "url", "email", "list"):
        kept = fitted(field(kind), value)
        if not isinstance(kept, Misfit):
            assert fitted(field(kind), kept) == kept


def test_a_new_field_is_defined_once() -> None:
    done, made = define({}, 0, ask("list", ("S", "L")), stamp(1))

    assert done == Done({"scope": "contact", "name": "size", "type": "list"})
    assert made == FieldDefinition("list", LastWrite(("S", "L"), stamp(1)))
    assert define({KEY: made}, 1, ask("list", ("S", "L")), stamp(2))[0] == Done()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (ask("list"), "`options`"),
        (ask("list", ()), "`options`"),
        (ask("list", ("S", "S")), "`options`"),
        (ask("list", ("S", " ")), "`options`"),
        (ask("list", tuple(map(str, range(limits.OPTIONS_PER_FIELD + 1)))), "500"),
        (ask("text", ("S",)), "`list`"),
        (ask("text", name=" size"), "`name`"),
        (ask("text", name="a\nb"), "`name`"),
    ],
)
def test_a_definition_that_does_not_fit_is_invalid(command: DefineField, said: str) -> None:
    refused, made = define({}, 0, command, stamp(1))

    assert isinstance(refused, Refused)
    assert (refused.reason, made) == ("invalid", None)
    assert said in refused.detail


def test_a_field_keeps_its_type() -> None:
    refused, made = define({KEY: field("number")}, 1, ask("text"), stamp(9))

    assert isinstance(refused, Refused)
    assert made is None
    assert "`number`" in refused.detail


def test_one_field_too_many_is_invalid_and_a_known_one_is_not() -> None:
    refused, _ = define({}, limits.FIELDS_PER_SCOPE, ask("text"), stamp(1))
    again, _ = define({KEY: field("text")}, limits.FIELDS_PER_SCOPE, ask("text"), stamp(1))

    assert isinstance(refused, Refused)
    assert again == Done()


def test_of_several_definitions_the_latest_options_hold_in_any_order() -> None:
    commands = {stamp(1): ("S",), stamp(2): ("S", "M"), stamp(3): ("L",)}
    for order in permutations(commands):
        known: dict[FieldKey, FieldDefinition] = {}
        results: list[Result] = []
        for at in order:
            result, made = define(known, len(known), ask("list", commands[at]), at)
            results.append(result)
            if made is not None:
                known[KEY] = made
        assert all(isinstance(result, Done) for result in results)
        assert known[KEY].options.value == ("L",)
