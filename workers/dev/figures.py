"""The demo's figures, read back from the database, and whether they add up."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from workers.dev import month_end
from workers.dev.recording import Summary
from workers.rules.blocks import Interval
from workers.rules.inbound import Facts, judge
from workers.store import workspaces
from workers.store.connection import Connection
from workers.store.queries import load

_SQL = load("demo")

Row = Mapping[str, Any]
CycleKey = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the database after the day. `recounted`: active contacts per cycle, without blocked ones and
    with.
    """

    inbound: Row
    holds: Row
    contacts: Row
    tables: Mapping[str, Sequence[Row]]
    mac: Sequence[Row]
    recounted: Mapping[CycleKey, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Check:
    """One equation that must hold."""

    name: str
    left: int
    right: int

    @property
    def holds(self) -> bool:
        return self.left == self.right


async def read(tx: Connection) -> Figures:
    """All figures, in one transaction."""
    # All tables were just filled: without statistics the recount's join would take longer than the day.
    await tx.execute(_SQL["analyze"])
    names = ("dropped", "sends", "hold_reasons", "runs", "commands", "dead_letters", "adjusted")
    return Figures(
        inbound=await tx.fetchrow(_SQL["inbound"]),
        holds=await tx.fetchrow(_SQL["holds"]),
        contacts=await tx.fetchrow(_SQL["contacts"]),
        tables={name: await tx.fetch(_SQL[name]) for name in names},
        mac=await tx.fetch(_SQL["mac"]),
        recounted=await _recount(tx),
    )


async def _recount(tx: Connection) -> dict[CycleKey, tuple[int, int]]:
    """Active contacts per cycle, judged again message by message, without the workers' counts."""
    tenants = await workspaces.share(tx, {(row[0], "", "") for row in await tx.fetch(_SQL["workspaces"])})
    active: defaultdict[CycleKey, set[UUID]] = defaultdict(set)
    everybody: defaultdict[CycleKey, set[UUID]] = defaultdict(set)
    for row in await tx.fetch(_SQL["counted_messages"]):
        intervals = tuple(Interval(b.lower, b.upper) for b in row["blocks"])
        events = Facts(row["kind"], row["channel_id"], row["event_time"], released=row["released"])
        calendar = tenants[row["workspace_id"]].calendar
        verdict = judge(events, intervals, calendar)
        key = row["workspace_id"], verdict.cycle.start
        if verdict.counted:
            active[key].add(row["contact_id"])
        if judge(events, (), calendar).counted:
            everybody[key].add(row["contact_id"])
    return {key: (len(active[key]), len(contacts)) for key, contacts in everybody.items()}


def checks(figures: Figures, day: Summary) -> list[Check]:
    """Every equation that the day must satisfy. The right side comes from the recording or from another way of
    counting.
    """
    inbound, holds = figures.inbound, figures.holds
    parts = ("accepted", "dropped", "echoes", "conflicts", "dead")
    repeated_sends = day.inbound["echoes_of_sends"]
    known = sum(inbound[part] for part in parts) + day.inbound["duplicates"] + repeated_sends
    endings = ("waiting", "rejected", "expired", "cancelled", "refused", "confirmed")
    dead = {row["source_topic"]: row["letters"] for row in figures.tables["dead_letters"]}
    stored = inbound["accepted"] + inbound["dropped"] + inbound["echoes"] + repeated_sends
    sends = sum(row["sends"] for row in figures.tables["sends"])
    answered = sum(row["commands"] for row in figures.tables["commands"])
    found = [
        Check(
            "inbound: in = accepted + dropped + echoes + duplicates + conflicts + dead",
            day.topics["messages.inbound"] + month_end.MESSAGES,
            known,
        ),
        Check(
            "inbound: stored messages are the recording's unique ones, and the late one",
            day.inbound["unique_messages"] + month_end.MESSAGES,
            stored,
        ),
        Check("inbound: conflicts are the recording's", day.inbound["conflicts"], inbound["conflicts"]),
        Check("sends: every request has one status", day.sends["unique"], sends),
        Check(
            "holds: held = waiting + confirmed + rejected + expired + cancelled + refused",
            holds["ever"],
            sum(holds[ending] for ending in endings),
        ),
        Check("commands: every command has one result", day.commands["unique"] + month_end.COMMANDS, answered),
        Check(
            "contacts: merges are the recording's",
            day.phenomena["contacts merged"] + month_end.MERGES,
            figures.contacts["merged"] + figures.contacts["undone"],
        ),
        Check("contacts: undone merges are the recording's", day.phenomena["merge undone"], figures.contacts["undone"]),
        Check(
            "contacts: deleted ones are the recording's", day.phenomena["contact deleted"], figures.contacts["deleted"]
        ),
        Check("contacts: all that were deleted are erased", figures.contacts["deleted"], figures.contacts["erased"]),
    ]
    found += [
        Check(f"dead letters of {topic} are the recording's garbage", garbage, dead.get(topic, 0))
        for topic, garbage in day.garbage.items()
    ]
    found += [
        Check(
            f"MAC of {row['workspace_id']} from {row['cycle_start']:%Y-%m-%d %H:%M}: counted again from the messages",
            row["active_contacts"] + row["adjustments"],
            figures.recounted.get((row["workspace_id"], row["cycle_start"]), (0, 0))[0],
        )
        for row in figures.mac
    ]
    return found + _adjusted(figures)


def _adjusted(figures: Figures) -> list[Check]:
    adjusted = {row["cause"]: row["amount"] for row in figures.tables["adjusted"]}
    return [
        Check(f"adjustments: one for the {what}", amount, adjusted.get(cause, 0))
        for what, cause, amount in month_end.ADJUSTED
    ]
