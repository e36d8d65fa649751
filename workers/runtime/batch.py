"""What a worker is given and what it gives back: the vocabulary between the engine and the rooms.

A worker is data (`WorkerSpec`): which topics, how a record of each is decoded, and `apply`, which runs inside the
engine's transaction and returns the outputs that are owed once it commits. No worker has a loop of its own.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

from asyncpg.pool import PoolConnectionProxy
from msgspec import Struct

from schemas.decoding import BadRecord

T = TypeVar("T")

Connection = PoolConnectionProxy


class Source(NamedTuple):
    """An input partition, by the topic's name without prefix."""

    topic: str
    partition: int


Headers = Sequence[tuple[str, bytes | None]]


class RawRecord(Protocol):
    """One record as it came. `timestamp` is in milliseconds since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Record(Struct, Generic[T], frozen=True, gc=False):
    """One decoded input record. `timestamp` is Kafka's, in UTC; `traceparent` is the header's value, if any.

    `raw` is the record as it came, None where none did.
    """

    source: Source
    offset: int
    timestamp: datetime
    key: bytes | None
    value: T
    traceparent: bytes | None = None
    raw: RawRecord | None = None


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Records of one poll, in offset order within each partition.

    `now` is the transaction's time on the database's clock.
    """

    records: Sequence[Record[T]]
    now: datetime


class Fact(Struct, frozen=True, array_like=True, gc=False):
    """One record to publish. `ce_id` is semantic (schemas.ids.fact_id): the same fact always has the same id.

    `topic` is without prefix; `value` None is a tombstone; `headers` come before the CloudEvents ones. Facts are stored
    as they are, field by field: new fields come last and have a default.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    ce_id: UUID
    workspace_id: str
    time: datetime
    traceparent: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Output(Struct, frozen=True, gc=False):
    """A fact that a record caused; `source` is the record's partition. Those of one source are published in order."""

    source: Source
    fact: Fact


Apply = Callable[[Connection, Batch[Any]], Awaitable[list[Output]]]
Decode = Callable[[bytes | None], object | BadRecord]


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything the engine needs to know of a worker. `lanes`: how many of its transactions may run at once in a
    process, each of other partitions and on a connection of its own. `key_begins` says what the key of a record with
    such a value begins with; others are counted.
    """

    name: str
    decoders: Mapping[str, Decode]
    apply: Apply
    lanes: int = 1
    key_begins: Callable[[Any], bytes] = lambda _value: b""
