"""Bytes that nobody could read are shown as they are, and do nothing."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from console.pages import raw_bytes


@given(st.binary(max_size=200))
def test_nothing_that_is_shown_is_invisible_or_moves_other_text(raw: bytes) -> None:
    shown = raw_bytes.shown(raw)
    assert shown.size == len(raw)
    assert not shown.cut
    assert {unicodedata.category(c) for c in shown.text if c not in "\n\t"}.isdisjoint({"Cc", "Cf", "Cs", "Cn"})


@given(st.text(max_size=200))
def test_text_is_text_and_what_one_sees_stays_as_it_is(text: str) -> None:
    shown = raw_bytes.shown(text.encode("utf-8", "replace"))
    assert shown.kind == "text"
    if text.isprintable():
        assert shown.text == text.encode("utf-8", "replace").decode()


def test_each_kind_has_its_form() -> None:
    assert raw_bytes.shown(b"a\x00\xe2\x80\xaeb\n").text == "a\\u0000\\u202eb\n"
    assert raw_bytes.shown("\U000e0041".encode()).text == "\\U000e0041"
    dump = raw_bytes.shown(b"\xff<b>\x00" + b"x" * 12)
    assert dump.kind == "hex"
    assert dump.text.splitlines() == [
        "00000000  ff 3c 62 3e 00 78 78 78 78 78 78 78 78 78 78 78  .<b>.xxxxxxxxxxx",
        "00000010  78                                               x",
    ]


def test_of_very_much_only_the_beginning_is_shown() -> None:
    assert raw_bytes.shown(b"x" * 100_000).cut
    assert raw_bytes.shown(b"\xff" * 5_000).cut
    assert len(raw_bytes.shown(b"\xff" * 250_000).text) < 20_000
