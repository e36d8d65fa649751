"""What pages say in words, by the rules that it is about."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any, Final, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hostile import inert, texts
from workers.cli import pages
from workers.cli.tables import Screen
from workers.rules import wording
from workers.rules.sends import RefuseReason

NOW: Final = datetime(2026, 3, 1, 8, tzinfo=UTC)
HOLD: Final[dict[str, Any]] = {
    "now": NOW,
    "expires_at": NOW + timedelta(hours=1),
    "two_person_confirm": False,
    "requested_by": "ann",
    "refusals": [],
    "new_grounds": [],
    "releasable": False,
    "address": "+49151",
    "channel_id": "wa-main",
}
NEW: Final = {"code": "company_protected", "of": "c-1", "name": "Bolt"}


def test_every_reason_has_words() -> None:
    codes = {*get_args(RefuseReason), *wording.PROTECTIONS}
    assert [code for code in codes if wording.reason(code) == code] == []
    assert wording.reason("busy") == "busy"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "It releases the send: the message goes to +49151 on wa-main."),
        ({"releasable": True}, "Nothing protects the contact any more"),
        (
            {"refusals": ["opted_out"], "new_grounds": [NEW]},
            "It refuses the send: the contact opted out at this address.",
        ),
        ({"new_grounds": [NEW]}, "It holds the send once more, for what came since: company Bolt (c-1) is protected."),
        ({"two_person_confirm": True}, "Another person than ann must give it"),
        ({"expires_at": NOW}, "It comes too late: the hold has expired."),
    ],
)
def test_what_confirming_does(changed: dict[str, Any], says: str) -> None:
    assert says in "\n".join(wording.confirming(HOLD | changed))


def test_a_hold_names_what_protects_and_keeps_what_it_cannot_name() -> None:
    known = [{"code": "status_protected", "of": "VIP: gold", "name": None}, NEW | {"name": None}]
    assert wording.grounds(["company_protected", "protection_unknown", "status_protected"], known) == [
        "status VIP: gold is protected",
        "company c-1 is protected",
        "what protects the contact's profile could not be read",
    ]


@given(st.timedeltas(timedelta(seconds=-1), timedelta(days=5000)))
def test_a_span_is_at_most_what_it_tells_and_a_unit_more(length: timedelta) -> None:
    units = {"day": 86_400, "days": 86_400, "h": 3_600, "min": 60, "s": 1}
    words = wording.span(length).split(" ")
    told = [int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True)]
    assert len(told) in (1, 2)
    assert told == sorted(told, reverse=True)
    seconds = max(int(length.total_seconds()), 0)
    assert 0 <= seconds - sum(told) < max(units[words[-1]], 1) * (60 if len(told) == 1 else 1)


def test_spans_are_short() -> None:
    spans = [
        timedelta(),
        timedelta(seconds=61),
        timedelta(hours=3),
        timedelta(days=1, minutes=5),
        timedelta(days=2, hours=4),
    ]
    assert list(map(wording.span, spans)) == ["0 s", "1 min 1 s", "3 h", "1 day", "2 days 4 h"]


@given(texts.filter(bool), st.integers(10, 90))
def test_a_page_keeps_texts_of_others_beside_their_label(text: str, columns: int) -> None:
    out = StringIO()
    pages.show(Screen(file=out, width=columns, markup=False, emoji=False, highlight=False), {"text": text, "to": "Ada"})
    lines = out.getvalue().splitlines()
    assert inert(out.getvalue())
    assert lines[-1] == "to    Ada"
    assert all(line.startswith(("text  ", "      ")) or line in ("text", "") for line in lines[:-1])


def test_a_page_leaves_out_what_there_is_not() -> None:
    out = StringIO()
    pages.show(Screen(file=out, width=40), {"a label": None, "b": [], "c": ["x", "y"]})
    assert out.getvalue() == "c  x\n   y\n"


def test_a_content_is_told_whatever_it_is() -> None:
    content = {
        "subject": "Spring",
        "text": "Hi\nAda",
        "template": {"name": "welcome", "language": "en", "parameters": ["Ada", 3]},
        "attachments": [{"kind": "image", "url": "https://x/y.png", "name": None}],
    }
    assert pages.content_lines(content) == [
        "subject: Spring", "Hi", "Ada", "template: welcome (en) Ada, 3", "attachment: image https://x/y.png",
    ]  # fmt: skip
