"""Part of the reference model: who has an address and when, through removals, merges, undos and deletions.

Shares no code with the workers. Goes through the commands in the order of their times, which is the order of arrival
too: they are judged when they are applied. Messages may arrive whenever they like.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Kind = Literal["block", "unblock", "remove", "merge", "undo", "delete"]


class Order(NamedTuple):
    """A command. `who` is an address, for `merge` and `delete` its first contact; `other` is who is merged away, or the
    place of the merge that is undone.
    """

    kind: Kind
    at: int
    who: str
    other: Any = None


class Said(NamedTuple):
    """A message from an address; its event time is a minute."""

    id: str
    who: str
    at: int
    text: str


Tenure = tuple[str, int | None]
"""An address from when on: the name of whose it is then."""


@dataclass
class _Contact:
    """Whoever had an address first. `cuts`: the minutes of its blocks and unblocks, in turn."""

    cuts: list[tuple[int, bool]] = field(default_factory=list)
    into: Tenure | None = None
    deleted: int | None = None


@dataclass
class _Merge:
    survivor: Tenure
    loser: Tenure
    came: list[Tenure]
    stands: bool = True


@dataclass
class Families:
    """The state after some orders. A contact is called by the first tenure that it had."""

    contacts: dict[Tenure, _Contact] = field(default_factory=dict)
    removed: dict[Tenure, int] = field(default_factory=dict)
    deleted: dict[Tenure, tuple[int, Tenure]] = field(default_factory=dict)
    merges: list[_Merge | None] = field(default_factory=list)

    def contact(self, tenure: Tenure) -> _Contact:
        return self.contacts.setdefault(tenure, _Contact())

    def root(self, tenure: Tenure) -> Tenure:
        into = self.contact(tenure).into
        return tenure if into is None else into

    def family(self, root: Tenure) -> list[Tenure]:
        return [t for t in list(self.contacts) if self.root(t) == root]

    def blocked(self, tenure: Tenure, at: int | None = None) -> tuple[int, int | None] | None:
        """The block interval that holds that minute; None: the one that has no end."""
        for begin, end in _intervals(self.contact(tenure).cuts):
            if (at is None and end is None) or (at is not None and begin <= at and (end is None or at < end)):
                return begin, end
        return None

    def end(self, tenure: Tenure) -> int | None:
        ends = [self.deleted[tenure][0]] if tenure in self.deleted else []
        if tenure in self.removed:
            block = self.blocked(tenure, self.removed[tenure])
            ended = self.removed[tenure] if block is None else block[1]
            ends += [ended] if ended is not None else []
        return min(ends, default=None)

    def owner(self, who: str, at: int) -> Tenure:
        """Whose the address is at that minute; somebody new has it where the one before ended."""
        tenure: Tenure = (who, None)
        self.contact(tenure)
        while (end := self.end(tenure)) is not None and end <= at:
            following: Tenure = (who, end)
            if following not in self.contacts and tenure in self.deleted:
                self.contact(following).cuts = _still_open(self.contact(self.deleted[tenure][1]).cuts)
            self.contact(following)
            tenure = following
        return tenure

    def apply(self, order: Order) -> None:
        match order.kind:
            case "block" | "unblock":
                for member in self.family(self.root(self.owner(order.who, order.at))):
                    self.contact(member).cuts.append((order.at, order.kind == "unblock"))
            case "remove":
                first, tenure = (order.who, None), self.owner(order.who, order.at)
                if self.root(tenure) == self.root(first) and self.contact(self.root(first)).deleted is None:
                    self.removed.setdefault(tenure, order.at)
            case "merge":
                self.merges.append(self._merge((order.who, None), (order.other, None)))
            case "undo":
                self._undo(order.other)
            case "delete":
                self._delete(self.root((order.who, None)), order.at)

    def _merge(self, survivor: Tenure, loser: Tenure) -> _Merge | None:
        into, gone = self.root(survivor), self.root(loser)
        alive = self.contact(into).deleted is None and self.contact(gone).deleted is None
        if into == gone or not alive or self.blocked(into) or self.blocked(gone):
            return None
        came = self.family(gone)
        for member in came:
            self.contact(member).into = into
        return _Merge(into, gone, came)

    def _undo(self, place: int) -> None:
        merge = self.merges[place]
        if merge is None or not merge.stands or self.contact(merge.survivor).deleted is not None:
            return
        both = {merge.survivor, merge.loser}
        if any(m is not None and m.stands and both & {m.survivor, m.loser} for m in self.merges[place + 1 :]):
            return
        merge.stands = False
        for member in merge.came:
            self.contact(member).into = merge.loser if member != merge.loser else None

    def _delete(self, root: Tenure, at: int) -> None:
        if self.contact(root).deleted is not None:
            return
        for member in self.family(root):
            self.contact(member).deleted = at
            if (end := self.end(member)) is None or end > at:
                self.deleted[member] = at, root
            else:
                self.deleted[member] = end, root


def _intervals(cuts: Sequence[tuple[int, bool]]) -> list[tuple[int, int | None]]:
    found: list[tuple[int, int | None]] = []
    for at, ends in cuts:
        if ends and found and found[-1][1] is None:
            found[-1] = found[-1][0], at
        elif not ends and (not found or found[-1][1] is not None):
            found.append((at, None))
    return found


def _still_open(cuts: Sequence[tuple[int, bool]]) -> list[tuple[int, bool]]:
    intervals = _intervals(cuts)
    return [(intervals[-1][0], False)] if intervals and intervals[-1][1] is None else []


@dataclass(frozen=True)
class Ended:
    """What all comes to. A contact is called by the smallest tenure of which it has messages; `verdicts` of messages:
    `shown`, `dropped`, or `deleted` with their contact.
    """

    verdicts: dict[str, tuple[str, Tenure | None]]
    active_since: dict[Tenure, int]
    blocked: dict[Tenure, int]
    opted_out: set[str]


def ended(orders: Sequence[Order], said: Sequence[Said]) -> Ended:
    families = Families()
    for order in sorted(orders, key=lambda o: o.at):
        families.apply(order)
    of = {message: families.owner(message.who, message.at) for message in said}
    names: dict[Tenure, Tenure] = {}
    for tenure in sorted(set(of.values()), key=_place, reverse=True):
        names[_whose(families, tenure)] = tenure
    result = Ended({}, {}, {}, set())
    for message, tenure in of.items():
        gone = tenure in families.deleted
        verdict = "deleted" if gone else "dropped" if families.blocked(tenure, message.at) else "shown"
        name = names[_whose(families, tenure)]
        result.verdicts[message.id] = verdict, None if gone else name
        if not gone:
            result.active_since[name] = min(message.at, result.active_since.get(name, message.at))
    for root, name in names.items():
        block = families.blocked(root)
        if block is not None and families.contact(root).deleted is None:
            result.blocked[name] = block[0]
    for who in {message.who for message in said}:
        words = sorted((m.at, m.id, m.text) for m in said if m.who == who and m.text in ("STOP", "START"))
        present = families.owner(who, 10**6)
        if words and words[-1][2] == "STOP" and present in of.values() and present not in families.removed:
            result.opted_out.add(who)
    return result


def _whose(families: Families, tenure: Tenure) -> Tenure:
    return families.deleted[tenure][1] if tenure in families.deleted else families.root(tenure)


def _place(tenure: Tenure) -> tuple[str, int]:
    return tenure[0], -1 if tenure[1] is None else tenure[1]
