"""The recorded day: what five topics carried on one day, to be played into a broker.

`day.jsonl.gz` holds one JSON object a line, in order of arrival. A record has `at` (milliseconds from the start of
the day), `topic`, `key`, `headers`? and one of `value` (JSON, kept byte for byte), `base64` (bytes that are no record)
and `repeat` (head, a unit that is repeated so many times, tail); with none of them it has no value. `contacts`: ids in
the value that stand for the contacts with these addresses, whose own ids are made when the day is played. `defect`
names what makes it impossible to understand. A line `{"barrier": name}` stands where a client would wait for its
answers before going on. `tools.record_day` makes the file.
"""

import gzip
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import msgspec

DAY_FILE: Final = "day.jsonl.gz"
EXPECTED_FILE: Final = "day.expected.json"


class NamedAddress(msgspec.Struct, frozen=True):
    """An address of the contact that a record names by an id."""

    workspace_id: str
    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record to produce. `timestamp_ms` is its Kafka timestamp in milliseconds since 1970; `defect` is why it must
    become a dead letter (None: it is valid). `contacts`: each id in the value that stands for the contact with that
    address.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...] = ()
    defect: str | None = None
    contacts: tuple[tuple[str, NamedAddress], ...] = ()


@dataclass(frozen=True, slots=True)
class Barrier:
    """Everything before it must have been applied before anything after it is produced."""

    name: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The known contents of the recording.

    `records` counts all records without barriers, `topics` and `garbage` per topic; the rest counts messages, sends and
    commands by identity (see `day.expected.json`).
    """

    start: datetime
    records: int
    topics: Mapping[str, int]
    barriers: tuple[str, ...]
    garbage: Mapping[str, int]
    inbound: Mapping[str, int]
    sends: Mapping[str, int]
    commands: Mapping[str, int]
    phenomena: Mapping[str, int]


class _Repeat(msgspec.Struct, frozen=True):
    head: str
    unit: str
    times: int
    tail: str


class _Line(msgspec.Struct, frozen=True):
    at: int = 0
    topic: str = ""
    key: str | None = None
    headers: dict[str, str] = {}
    contacts: dict[str, NamedAddress] = {}
    value: msgspec.Raw = msgspec.Raw()
    base64: str | None = None
    repeat: _Repeat | None = None
    defect: str | None = None
    barrier: str | None = None


_LINES: Final = msgspec.json.Decoder(_Line)


def open_day() -> Iterator[Recorded | Barrier]:
    """The day in order of arrival, read while it is iterated."""
    with _resource(DAY_FILE).open("rb") as packed, gzip.open(packed) as lines:
        for text in lines:
            line = _LINES.decode(text)
            yield Barrier(line.barrier) if line.barrier is not None else _recorded(line)


def _recorded(line: _Line) -> Recorded:
    return Recorded(
        topic=line.topic,
        key=None if line.key is None else line.key.encode(),
        value=_value(line),
        timestamp_ms=_START_MS + line.at,
        headers=tuple((name, value.encode()) for name, value in line.headers.items()),
        defect=line.defect,
        contacts=tuple(line.contacts.items()),
    )


def _value(line: _Line) -> bytes | None:
    if value := bytes(line.value):
        return value
    if line.base64 is not None:
        return b64decode(line.base64)
    if line.repeat is not None:
        return (line.repeat.head + line.repeat.unit * line.repeat.times + line.repeat.tail).encode()
    return None


def _resource(name: str) -> Traversable:
    return resources.files("workers.dev").joinpath(name)


DAY: Final = msgspec.json.decode(_resource(EXPECTED_FILE).read_bytes(), type=Summary)
_START_MS: Final = int(DAY.start.timestamp() * 1000)
