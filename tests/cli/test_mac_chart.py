"""`sluice mac chart`: every cycle can be told from the others without colour, on a terminal and in a picture."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from asyncpg import Pool
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.commands import Ended
from tests.cli.inside import document_of, runner
from tests.workers.asking import ask, give
from workers.cli import chart_text
from workers.errors import ExitCode
from workers.rules import chart_svg
from workers.rules.mac_chart import Chart, Line, compared, line, ticks

SVG: Final = "{http://www.w3.org/2000/svg}"
NOW: Final = datetime(2026, 4, 12, 21, 30, tzinfo=UTC)

FILL: Final = """
INSERT INTO mac_cycles (workspace_id, cycle_start, cycle_end)
VALUES ('acme', '2026-01-31T15:00Z', '2026-02-28T15:00Z'), ('acme', '2026-02-28T15:00Z', '2026-03-31T15:00Z');
INSERT INTO mac_contacts (workspace_id, cycle_start, contact_id, first_message_id, first_counted_at)
SELECT 'acme', start, gen_random_uuid(), gen_random_uuid(), at FROM (VALUES
    ('2026-01-31T15:00Z'::timestamptz, '2026-02-10T14:59Z'::timestamptz), ('2026-01-31T15:00Z', '2026-02-10T15:00Z'),
    ('2026-02-28T15:00Z', '2026-02-28T15:00Z'), ('2026-02-28T15:00Z', '2026-03-30T15:00Z')
) AS counted (start, at);
INSERT INTO mac_shards (workspace_id, cycle_start, shard, active_contacts)
VALUES ('acme', '2026-01-31T15:00Z', 'messages.inbound/0', 2), ('acme', '2026-02-28T15:00Z', 'messages.inbound/0', 2);
UPDATE mac_cycles SET status = 'closed', closed_at = '2026-03-04Z' WHERE cycle_start = '2026-01-31T15:00Z';
"""


def month(number: int, *active: int, status: str = "closed", time_zone: str = "UTC", now: datetime = NOW) -> Line:
    """A month of 2026 with so many new contacts on its first days."""
    row = {
        "cycle_start": datetime(2026, number, 1, tzinfo=UTC),
        "cycle_end": datetime(2026, number + 1, 1, tzinfo=UTC),
        "status": status,
        "active_contacts": sum(active),
    }
    return line(row, {date(2026, number, day): count for day, count in enumerate(active, 1)}, time_zone, now)


def picture(*lines: Line) -> ET.Element:
    return ET.fromstring(chart_svg.svg(Chart("acme & co", "UTC", lines)))  # noqa: S314 - our own


def test_a_line_adds_up_day_by_day_and_an_open_one_ends_today() -> None:
    march, april = month(3, 5, 0, 2), month(4, 1, 1, status="open")
    assert march.counts == (5, 5, *[7] * 29)
    assert april.counts == (1, *[2] * 11)
    assert len(month(4, 1, status="open", time_zone="Asia/Tokyo").counts) == 13
    assert month(5, status="open").counts == (0,)
    assert compared(april, march) == "day 12: 7, now 71 % fewer"
    assert compared(march, april) == "day 31: 2, now 250 % more"
    assert compared(april, april) == compared(april, month(2)) == ""


def test_a_terminal_shows_each_cycle_by_a_character_of_its_own() -> None:
    drawn = chart_text.lines(Chart("acme", "UTC", [month(4, 8, status="open"), month(3, 4, 4)]), 50, unicode=False)
    assert drawn[2:10] == [
        "8 +*****************aaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "  |",
        "  |",
        "  | a",
        "6 +",
        "  |",
        "  |",
        "4 +a",
    ]
    assert drawn[-4] == "   1     5       10     15     20      25      30"
    assert drawn[-2:] == [
        "*  2026-04-01 (open)         8 on day 12",
        "a  2026-03-01                8 in all; day 12: 8, now as many",
    ]


@given(st.lists(st.lists(st.integers(0, 10**7), min_size=1, max_size=28), min_size=1, max_size=6), st.integers(20, 200))
def test_no_line_of_a_chart_is_wider_than_the_terminal(counts: list[list[int]], width: int) -> None:
    lines = [month(number, *active) for number, active in enumerate(counts, 1)]
    drawn = chart_text.lines(Chart("acme", "UTC", lines), width, unicode=True)
    chart, legend = drawn[2:20], drawn[21:]
    assert max(map(len, chart)) <= max(width, 40)
    assert [one.split()[0] for one in legend] == ["●", "a", "b", "c", "d", "e"][: len(lines)]


@given(st.integers(0, 10**9), st.integers(1, 9))
def test_the_numbers_beside_a_chart_are_round_and_reach_the_greatest(greatest: int, most: int) -> None:
    up = ticks(greatest, most)
    assert up[0] == 0
    assert up[-1] >= greatest
    assert 2 <= len(up) <= most + 2
    assert str(up[1]).rstrip("0") in {"1", "2", "5"}


def test_a_picture_tells_cycles_apart_without_colour_and_labels_have_room() -> None:
    lines = [
        month(6, *[70] * 12, status="open", now=NOW + timedelta(days=61)),
        *(month(n, *[90] * 9) for n in (5, 4, 3, 2, 1)),
    ]
    root = picture(*lines)
    curves = root.findall(f"{SVG}g/{SVG}polyline")
    assert len(curves) == 6
    assert len({curve.get("stroke-dasharray") for curve in curves}) == 6
    shapes = {ET.tostring(g[0]) for g in root.iter(f"{SVG}g") if (g.get("transform") or "").startswith("translate")}
    assert len(shapes) == 6

    names = {
        text.text: float(text.get("y", "")) for text in root.iter(f"{SVG}text") if (text.text or "").startswith("2026")
    }
    assert set(names) == {one.name() for one in lines}
    beside = sorted(y for name, y in names.items() if name != lines[0].name())
    assert all(low - high >= 48 for high, low in pairwise(beside))
    assert beside[0] > 60
    assert [text.text for text in root.iter(f"{SVG}title")] == ["Active contacts of acme & co"]


@pytest.mark.parametrize(
    "lines",
    [[month(4, status="open")], [month(4, 3, status="open", now=NOW.replace(day=1))], [month(3, 1, 10**7), month(2)]],
    ids=["nobody", "the first day", "millions"],
)
def test_everything_in_a_picture_lies_on_it(lines: list[Line]) -> None:
    root = picture(*lines)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    for text in root.iter(f"{SVG}text"):
        half_at_least = 166 if text.get("font-weight") == "bold" and text.get("text-anchor") == "middle" else 0
        assert half_at_least < float(text.get("x", "")) < width
        assert 0 < float(text.get("y", "")) < height
    for curve in root.iter(f"{SVG}polyline"):
        points = [tuple(map(float, point.split(","))) for point in curve.get("points", "").split()]
        assert all(0 < x < width and 60 < y < height for x, y in points)


@pytest.fixture
async def sluice(
    pool: Pool, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    await give(pool, ask("configure_workspace", set={"time_zone": "Asia/Tokyo"}))
    await give(pool, ask("configure_workspace", workspace_id="silent", set={"quarantine_days": 3}))
    await pool.execute(FILL)
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys, DATABASE_URL=database)


def test_the_command_draws_the_days_of_the_workspace_s_zone(sluice: Callable[..., Ended]) -> None:
    acme = ("mac", "chart", "--workspace", "acme")
    document = document_of(sluice(*acme, "--json"))
    march, february = document["cycles"]
    assert document["time_zone"] == "Asia/Tokyo"
    assert [one["day"] for one in (march["days"][0], march["days"][-1])] == ["2026-03-01", "2026-03-31"]
    assert [one["until_then"] for one in march["days"]] == [1] * 30 + [2]
    assert [one["until_then"] for one in february["days"]] == [0] * 9 + [1] + [2] * 18
    assert (march["status"], february["status"]) == ("open", "closed")

    first = document_of(sluice(*acme, "--cycle", "2026-01-31T15:00:00Z", "--json"))["cycles"]
    assert first == [february]
    assert len(document_of(sluice(*acme, "--last", "0", "--json"))["cycles"]) == 1

    shown = sluice(*acme)
    assert shown.code == ExitCode.CLEAN
    assert "2026-03-01 (open)" in shown.out
    assert max(map(len, shown.out.splitlines())) <= 80
    assert sluice(*acme, "--svg", "days.svg") == (ExitCode.CLEAN, "", "", 0)
    assert "2026-03-01 (open)" in Path("days.svg").read_text()
    assert sluice(*acme, "--svg", "missing/days.svg").code == ExitCode.SETUP
    assert sluice(*acme, "--svg", "days.svg", "--json").code == ExitCode.SETUP
    for workspace, sentence in (("silent", "no message yet"), ("nobody", "there is no workspace")):
        ended = sluice("mac", "chart", "--workspace", workspace)
        assert (ended.code, ended.out) == (ExitCode.FAULT, "")
        assert sentence in ended.err
