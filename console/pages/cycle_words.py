"""What is said of a cycle, in sentences."""

from datetime import datetime
from typing import Any, NamedTuple

from console.pages.rendering import number
from console.reading.cycles import Cycle
from console.texts import known, text
from workers.rules.alerts import thresholds_to_tell
from workers.rules.wording import span, time_text


class Sentence(NamedTuple):
    """Something that is true of a cycle. `kind` is plain, held or bad."""

    kind: str
    text: str


def cause(adjustment: Any) -> str:
    """What came late, in words; a cause of a newer version stays as it is."""
    key = f"active.cause_{adjustment['cause']}"
    return text(key) if known(key) else str(adjustment["cause"])


def sentence(words: str) -> str:
    """What a function of the database says in words, as a sentence."""
    return f"{words[:1].upper()}{words[1:]}."


def sentences(cycle: Cycle, now: datetime) -> list[Sentence]:
    """What can be said of a cycle, in the order in which one wants to know it."""
    said = []
    if cycle.again:
        done, total = number(cycle.again["done"]), number(cycle.again["total"])
        said.append(Sentence("held", text("active.again", done=done, total=total)))
    said.append(bounds(cycle, now))
    said.append(closing(cycle, now))
    return said + limits(cycle)


def bounds(cycle: Cycle, now: datetime) -> Sentence:
    """What the count is, and what it can still come to."""
    count = cycle.count
    if count["status"] == "closed":
        return Sentence("plain", text("active.final", count["active_contacts"]))
    if count["at_most"] is None:
        return Sentence("held", text("active.bounds_unknown", at_least=number(count["at_least"])))
    age = span(now - count["as_of"])
    if count["at_most"] == count["at_least"]:
        return Sentence("plain", text("active.exactly", at_least=number(count["at_least"]), age=age))
    values: dict[str, Any] = {"at_least": number(count["at_least"]), "at_most": number(count["at_most"])}
    return Sentence("plain", text("active.between", count["at_most"] - count["at_least"], age=age, **values))


def closing(cycle: Cycle, now: datetime) -> Sentence:
    """When the cycle closes, or did."""
    count = cycle.count
    if count["status"] == "closed":
        return Sentence(
            "plain", text("active.closed", ago=span(now - count["closed_at"]), at=time_text(count["closed_at"]))
        )
    at = time_text(cycle.closes_at)
    if now < count["cycle_end"]:
        end = time_text(count["cycle_end"])
        return Sentence("plain", text("active.runs", left=span(count["cycle_end"] - now), end=end, at=at))
    if now < cycle.closes_at:
        return Sentence("plain", text("active.ended", at=at))
    if not cycle.delays:
        return Sentence("plain", text("active.closing", at=at))
    partitions = ", ".join(f"{one['topic']}/{one['partition']}" for one in cycle.delays)
    return Sentence("bad", text("active.delayed", at=at, partitions=partitions))


def limits(cycle: Cycle) -> list[Sentence]:
    """How much of its limit the cycle has used, if the workspace has one."""
    count = cycle.count["active_contacts"]
    if cycle.limit is None:
        return [Sentence("plain", text("active.no_limit"))]
    reached = thresholds_to_tell(count, cycle.limit, ())
    values: dict[str, Any] = {"limit": number(cycle.limit), "used": _share(count, cycle.limit)}
    if not reached:
        return [Sentence("plain", text("active.below_limit", **values))]
    kind = "bad" if reached[-1] >= 100 else "held"
    return [Sentence(kind, text("active.limit_reached", alert=reached[-1], **values))]


def _share(count: int, limit: int) -> str:
    return f"{count * 100 // limit:,} %" if limit else text("active.all_of_it")
