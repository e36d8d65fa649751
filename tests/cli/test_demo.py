"""`sluice demo` plays its day on a fresh machine, and fails if figures do not add up."""

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.cli.commands import Sluice
from workers.dev import month_end
from workers.dev.demo import reconciled
from workers.dev.figures import Figures, checks
from workers.dev.recording import DAY
from workers.dev.scoreboard import scoreboard
from workers.errors import ExitCode

MARCH = datetime(2026, 3, 10, 3, tzinfo=UTC)
APRIL = datetime(2026, 4, 10, 3, tzinfo=UTC)

RIGHT = Figures(
    inbound={
        "accepted": DAY.inbound["unique_messages"] + month_end.MESSAGES - 300 - DAY.inbound["echoes_of_sends"],
        "dropped": 200,
        "echoes": 100,
        "conflicts": DAY.inbound["conflicts"],
        "dead": DAY.garbage["messages.inbound"],
    },
    holds={"ever": 21, "waiting": 1, "rejected": 2, "expired": 3, "cancelled": 4, "refused": 5, "confirmed": 6},
    contacts={
        "present": 3_000,
        **dict.fromkeys(("blocked", "snoozed", "edited", "tagged", "removed"), 12),
        "merged": DAY.phenomena["contacts merged"] + month_end.MERGES - DAY.phenomena["merge undone"],
        "undone": DAY.phenomena["merge undone"],
        "deleted": DAY.phenomena["contact deleted"],
        "erased": DAY.phenomena["contact deleted"],
    },
    tables={
        "dropped": [
            {"reason": "contact_blocked", "rule": "next_cycle", "counted": True, "messages": 150},
            {"reason": "contact_blocked", "rule": "immediate", "counted": False, "messages": 50},
        ],
        "sends": [
            {"status": "refused", "reason": "contact_must_initiate", "sends": 24},
            {"status": "read", "reason": None, "sends": DAY.sends["unique"] - 24},
        ],
        "hold_reasons": [{"reasons": "company_protected + status_protected", "sends": 21}],
        "runs": [{"state": "halted", "reason": "blocked_contact_step", "runs": 3}],
        "commands": [
            {"outcome": "done", "reason": None, "commands": DAY.commands["unique"] + month_end.COMMANDS - 770},
            {"outcome": "refused", "reason": "not_permitted", "commands": 770},
        ],
        "dead_letters": [{"source_topic": topic, "letters": letters} for topic, letters in DAY.garbage.items()],
        "adjusted": [{"cause": cause, "amount": amount} for _, cause, amount in month_end.ADJUSTED],
    },
    mac=[
        {
            "workspace_id": "nobody-configured-me",
            "cycle_start": MARCH,
            "cycle_end": APRIL,
            "active_contacts": 1_234_500,
            "adjustments": 67,
        }
    ],
    recounted={("nobody-configured-me", MARCH): (1_234_567, 2_345_678)},
)


def _table(name: str, rows: list[Mapping[str, Any]]) -> Figures:
    return replace(RIGHT, tables={**RIGHT.tables, name: rows})


WRONG = {
    "accepted": replace(RIGHT, inbound={**RIGHT.inbound, "accepted": RIGHT.inbound["accepted"] + 1}),
    "dropped": replace(RIGHT, inbound={**RIGHT.inbound, "dropped": 199}),
    "conflicts": replace(RIGHT, inbound={**RIGHT.inbound, "conflicts": 0}),
    "holds": replace(RIGHT, holds={**RIGHT.holds, "expired": 4}),
    "merges": replace(RIGHT, contacts={**RIGHT.contacts, "merged": RIGHT.contacts["merged"] + 1}),
    "deletions": replace(RIGHT, contacts={**RIGHT.contacts, "deleted": 0}),
    "erasure": replace(RIGHT, contacts={**RIGHT.contacts, "erased": 0}),
    "sends": _table("sends", [{"status": "read", "reason": None, "sends": DAY.sends["unique"] - 1}]),
    "commands": _table("commands", [{"outcome": "done", "reason": None, "commands": DAY.commands["unique"] + 1}]),
    "dead letters": _table("dead_letters", []),
    "MAC": replace(RIGHT, recounted={("nobody-configured-me", MARCH): (1_234_566, 2_345_678)}),
    "adjustments": _table("adjusted", [{"cause": "late_message", "amount": 2}]),
    "MAC of nobody": replace(RIGHT, recounted={}),
}


def _console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=80), out


def test_figures_that_add_up_end_cleanly() -> None:
    console, out = _console()

    assert reconciled(console, checks(RIGHT, DAY)) is ExitCode.CLEAN
    assert "figures add up." in out.getvalue()


@pytest.mark.parametrize("falsified", WRONG)
def test_a_falsified_figure_is_told_and_ends_with_a_fault(falsified: str) -> None:
    console, out = _console()

    assert reconciled(console, checks(WRONG[falsified], DAY)) is ExitCode.FAULT
    assert "Does not add up:" in out.getvalue()
    assert "figures add up." not in out.getvalue()


def test_the_scoreboard_fits_80_characters_and_cuts_nothing_off() -> None:
    console, out = _console()
    console.print(scoreboard(RIGHT, DAY))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]

    assert max(map(len, lines)) <= 80
    assert "…" not in out.getvalue()
    assert any(
        "10 Mar 03:00 – 10 Apr 03:00" in line and "1,234,500" in line and "+67" in line and "2,345,678" in line
        for line in lines
    )
    assert any(line.endswith("refused: contact_must_initiate     24") for line in lines)


def test_the_scoreboard_says_what_its_columns_are_and_why_commands_were_refused() -> None:
    console, out = _console()
    console.print(scoreboard(RIGHT, DAY))

    said = " ".join(out.getvalue().split())
    assert "refused: not_permitted 770" in said
    for meaning in (
        "active contacts with a message that counts in the cycle",
        "with blocked the number without any block",
        "not_permitted the user's role, or the module of the app, may not give the command",
        "next_cycle a dropped message counts in the cycle in which the block began",
    ):
        assert meaning in said
    assert "already_final" not in said  # what does not occur needs no word


@pytest.mark.timeout(240)  # it takes all the processor it can get, and other tests run beside it
def test_the_demo_reconciles_whatever_the_environment_says_of_other_servers(tmp_path: Path) -> None:
    elsewhere = {"DATABASE_URL": "postgresql://h/d", "KAFKA_BOOTSTRAP": "h:9092", "TOPIC_PREFIX": "other."}
    ended = Sluice(tmp_path, **elsewhere).run("demo", timeout_s=220)

    assert ended.code == ExitCode.CLEAN, ended.out + ended.err
    assert ended.err == ""
    lines = ended.out.rstrip().splitlines()
    assert lines[-1].startswith("All ")
    assert lines[-1].endswith(" figures add up.")
    assert max(map(len, lines)) <= 80
    assert f"{DAY.records:,} of {DAY.records:,}" in ended.out
