"""The types that engine and store share: partitions, records, batches, events, outbox rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Literal, NamedTuple, Protocol, TypeVar
from uuid import UUID

from msgspec import Struct

T = TypeVar("T")
Noted = Literal["conflict"]
"""What a worker counts beside its outputs: an id that came again with other content."""


class Partition(NamedTuple):
    """An input partition. `topic` is without prefix."""

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


class PlainRecord(NamedTuple):
    """A `RawRecord`."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class ValueDigest(NamedTuple):
    """Stands for a value that is too large to keep: its size in bytes, its SHA-256, and `crc` of key and value."""

    size: int
    sha256: str
    crc: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A `RawRecord` that stands for what cannot be read, and why.

    With `last_offset` it stands for all records up to that offset, and `value` is their batch as it came. Without, it
    stands for one record, with its own key and value. `digest` stands for a value that is too large to keep.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    error: str
    last_offset: int | None = None
    digest: ValueDigest | None = None


class EnvelopeFault(NamedTuple):
    """Why a record's envelope cannot be read. With `last_offset` the fault is of all records up to that one, and the
    record's value is their batch as it came.
    """

    error: str
    last_offset: int | None = None


TOO_COSTLY: Final = "too_costly: "
"""Prefix of errors of records that alone are too much for a transaction."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One partition's part of a poll: records in offset order, and the offset to continue from.

    Everything before `end` is read. Control records and records of aborted transactions have offsets there but are not
    in `records`, which may be empty. `faults`: by offset, of records that stand for what cannot be read.
    """

    records: Sequence[RawRecord]
    end: int
    faults: Mapping[int, EnvelopeFault] = field(default_factory=dict)


class Record(Struct, Generic[T], frozen=True, gc=False):
    """One decoded input record. `timestamp` is Kafka's, in UTC; `traceparent` is the header's value, if any.

    `raw` is the record as it came; None if there is none. `watermark` is the highest Kafka timestamp up to the record
    in its partition; None: the record's own.
    """

    source: Partition
    offset: int
    timestamp: datetime
    key: bytes | None
    value: T
    traceparent: bytes | None = None
    raw: RawRecord | None = None
    watermark: datetime | None = None

    @property
    def recorded_at(self) -> datetime:
        """The record's time for the closing of cycles (contract 10, 5.6)."""
        return self.watermark or self.timestamp


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Records of one poll, in offset order within each partition.

    `now` is the transaction's time on the database's clock. `apply` adds to `noted` what a metric counts and no output
    tells; it is counted once the transaction is committed.
    """

    records: Sequence[Record[T]]
    now: datetime
    noted: Counter[Noted] = field(default_factory=Counter)


class Event(Struct, frozen=True, array_like=True, gc=False):
    """One record to publish. `ce_id` is semantic (schemas.ids.fact_id): the same event always has the same id.

    `topic` is without prefix; `value` None is a tombstone; `headers` come before the CloudEvents ones. Events are
    stored field by field: add new fields last, with a default.
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
    """An event that a record caused. `source` is the record's partition; outputs of one source are published in
    order.
    """

    source: Partition
    event: Event


class SetAside(Exception):  # noqa: N818 - an answer, not a mistake
    """Raised by `apply` for records that it can read and must not apply.

    The engine rolls back, makes dead letters of them, and runs the batch again without them. `errors` says why, by
    partition and offset.
    """

    def __init__(self, errors: Mapping[tuple[Partition, int], str]) -> None:
        super().__init__(f"{len(errors)} records are set aside")
        self.errors = errors


class OutboxKey(NamedTuple):
    """The key of an outbox row: one partition, and the poll that ended before `next_offset`."""

    source: Partition
    next_offset: int


class OutboxRow(NamedTuple):
    """An outbox row with its events, in the order to publish."""

    key: OutboxKey
    events: Sequence[Event]


class Fingerprint(NamedTuple):
    """Distinguishes a record from another one at the same offset of a re-created topic. Milliseconds; CRC-32 of key and
    value.
    """

    offset: int
    timestamp: int
    crc: int


class PartitionStep(NamedTuple):
    """One partition's part of a transaction: from `first` (None: nothing was applied before) to before `end`. `last` is
    the last record in it; None if it has none. `watermark` is the highest Kafka timestamp in it.
    """

    source: Partition
    first: int | None
    end: int
    last: Fingerprint | None
    watermark: datetime | None = None


class Advance(NamedTuple):
    """The begin of a transaction: its time, and the watermark that each partition had before."""

    now: datetime
    watermarks: Mapping[Partition, datetime]


class DeadLetter(NamedTuple):
    """A poison record as it came. With `last_offset` it stands for all records up to that one."""

    source: Partition
    raw: RawRecord
    error: str
    last_offset: int | None = None


TopicKey = tuple[str, bytes]


class UnpublishedEvent(NamedTuple):
    """An event that is stored, perhaps unpublished. `source` is the partition whose row holds it, None for a job's."""

    source: Partition | None
    event: Event


class Trial(NamedTuple):
    """What the next owner after a crash writes down before it applies the records before `until`. `times` is how many
    owners in a row tried the same record alone, this one included; 0: it tries several records.
    """

    until: int
    times: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease on a partition. `next_offset` is None if nothing was applied yet; `last` is the last record before it;
    `bad` are the offsets of dead letters among the last records before it. `orphaned`: the last owner did not
    release the lease. `tried`: what it had begun and not finished, if it wrote that down.
    """

    source: Partition
    next_offset: int | None
    last: Fingerprint | None
    bad: tuple[int, ...]
    orphaned: bool = False
    tried: Trial | None = None
