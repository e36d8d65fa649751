"""What people wrote becomes text for a page."""

from datetime import UTC, datetime

import pytest

from console.snoozing import choices, chosen, zone_of
from console.written import plain_text, shown


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two &amp; three</p>", "One\n\nTwo & three"),
        ("a<br>b", "a\nb"),
        ("<head><title>t</title><style>p{}</style></head><body>shown", "shown"),
        ("<head><title>never closed<body>shown", "shown"),
        ("<script>alert(1)</script>shown", "shown"),
        ("&lt;script&gt;", "<script>"),
        ("<ul><li>one</li><li>two</li></ul>", "one\n\ntwo"),
        ("<img src=x onerror=alert(1)>", ""),
        ("", ""),
        ("no markup  at\nall", "no markup at all"),
        ("<p", "<p"),
    ],
)
def test_html_is_what_somebody_would_read(html: str, text: str) -> None:
    assert plain_text(html) == text


def test_content_of_any_shape_has_every_field() -> None:
    assert shown(None)["text"] == ""
    assert shown({"type": "text", "text": "hi"})["attachments"] == []
    assert shown({"text": None, "html": "<b>hi</b>"})["text"] == "hi"
    assert shown({"text": "hi", "html": "<b>other</b>"})["text"] == "hi"


@pytest.mark.parametrize(
    ("url", "leads"),
    [("https://a.example/x", True), ("HTTP://a.example", True), ("javascript:alert(1)", False)]
    + [(url, False) for url in ("data:text/html,x", "//a.example", "", "https://[::bad", "ftp://a.example")],
)
def test_only_addresses_of_the_web_lead_anywhere(url: str, leads: bool) -> None:  # noqa: FBT001
    [file] = shown({"attachments": [{"kind": "file", "url": url}]})["attachments"]
    assert file["leads"] is leads


def test_mornings_are_those_of_the_place() -> None:
    friday = datetime(2026, 10, 23, 23, 30, tzinfo=UTC)  # Saturday in Berlin; on Sunday the clocks go back there

    offered = choices(friday, zone_of("Europe/Berlin"))

    assert offered["hour"] == datetime(2026, 10, 24, 0, 30, tzinfo=UTC)
    assert offered["tomorrow"] == datetime(2026, 10, 25, 8, tzinfo=UTC)
    assert offered["monday"] == datetime(2026, 10, 26, 8, tzinfo=UTC)


def test_on_a_monday_the_next_one_is_meant() -> None:
    monday = datetime(2026, 10, 26, 7, tzinfo=UTC)
    assert choices(monday, UTC)["monday"] == datetime(2026, 11, 2, 9, tzinfo=UTC)


def test_a_typed_time_is_one_of_the_place() -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    sao_paulo = zone_of("America/Sao_Paulo")
    assert chosen("typed", "2026-07-02T10:30", now, sao_paulo) == datetime(2026, 7, 2, 13, 30, tzinfo=UTC)
    for name, typed in (("typed", ""), ("typed", "soon"), ("typed", "0001-01-01T00:00"), ("never", "")):
        found = chosen(name, typed, now, zone_of("Pacific/Auckland"))
        assert found is None or found < now


def test_an_unknown_zone_is_utc() -> None:
    assert zone_of("Moon/Base") is UTC
    assert choices(datetime(2026, 7, 1, tzinfo=UTC), zone_of(None))["tomorrow"].hour == 9
