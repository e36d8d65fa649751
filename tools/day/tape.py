"""The tape: everything that arrives during the day, in the order in which it arrives.

Moments are milliseconds from the start of the day. A line of the tape is a JSON object; `workers.dev.recording` tells
what its fields mean.
"""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from operator import itemgetter
from typing import Any

from tools.day import DAY_START

Json = dict[str, Any]

INBOUND = "messages.inbound"
OUTBOUND = "messages.outbound"
RECEIPTS = "messages.receipts"
COMMANDS = "contacts.commands"
EVENTS = "workflows.events"

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

# Adapters are written in several languages, and their JSON shows it.
COMPACT: Json = {"ensure_ascii": False, "separators": (",", ":")}
ESCAPED: Json = {"ensure_ascii": True, "separators": (",", ":")}
SPACED: Json = {"ensure_ascii": False, "separators": (", ", ": ")}


def stamp(at: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return (DAY_START + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp_seconds(at: int) -> str:
    """RFC 3339 in UTC, as providers write whose clock has no fractions."""
    return (DAY_START + timedelta(milliseconds=at)).isoformat(timespec="seconds").replace("+00:00", "Z")


def stamp_local(at: int, offset_minutes: int) -> str:
    """RFC 3339 on a wall clock `offset_minutes` east of UTC."""
    sign, (hours, minutes) = "-" if offset_minutes < 0 else "+", divmod(abs(offset_minutes), 60)
    wall = DAY_START + timedelta(milliseconds=at, minutes=offset_minutes)
    return wall.replace(tzinfo=None).isoformat(timespec="seconds") + f"{sign}{hours:02}:{minutes:02}"


class Tape:
    """Collects lines in any order and gives them out by moment; lines of one moment keep the order they came in."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str]] = []
        self.topics: Counter[str] = Counter()
        self.garbage: Counter[str] = Counter()
        self.phenomena: Counter[str] = Counter()
        self.barriers: list[tuple[int, str]] = []

    def record(
        self,
        at: int,
        topic: str,
        key: str | None,
        value: Json,
        shape: Json = COMPACT,
        headers: dict[str, str] | None = None,
        contacts: dict[str, Json] | None = None,
    ) -> None:
        """A record. `contacts`: the ids in the value that stand for contacts, whose own ids the day cannot know."""
        extra = f'"headers":{json.dumps(headers)},' if headers else ""
        extra += f'"contacts":{json.dumps(contacts, **COMPACT)},' if contacts else ""
        self._add(at, topic, key, f'{extra}"value":{json.dumps(value, **shape)}')

    def defective(self, at: int, topic: str, key: str | None, data: bytes | None, defect: str) -> None:
        """A record that cannot be understood; `data` None is a record without a value."""
        body = "" if data is None else f',"base64":"{b64encode(data).decode()}"'
        self._add_garbage(at, topic, key, f'"defect":"{defect}"{body}')

    def oversized(self, at: int, topic: str, key: str | None, repeat: Json, defect: str) -> None:
        """A record too large to be stored: `repeat` is {head, unit, times, tail}."""
        self._add_garbage(at, topic, key, f'"defect":"{defect}","repeat":{json.dumps(repeat, **COMPACT)}')

    def barrier(self, at: int, name: str) -> None:
        self.barriers.append((at, name))
        self._lines.append((at, json.dumps({"barrier": name})))

    def seen(self, *phenomena: str) -> None:
        self.phenomena.update(phenomena)

    def lines(self) -> Iterator[str]:
        for _, line in sorted(self._lines, key=itemgetter(0)):
            yield line

    def _add_garbage(self, at: int, topic: str, key: str | None, body: str) -> None:
        self.garbage[topic] += 1
        self._add(at, topic, key, body)

    def _add(self, at: int, topic: str, key: str | None, body: str) -> None:
        self.topics[topic] += 1
        head = f'{{"at":{at},"topic":"{topic}","key":{json.dumps(key, ensure_ascii=False)},'
        self._lines.append((at, f"{head}{body}}}"))
