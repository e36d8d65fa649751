"""A worker as data: its topics, a decoder for each, and `apply`.

`apply` runs inside the engine's transaction and returns the outputs to publish after COMMIT. No worker has a loop of
its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.decoding import BadRecord
from workers.records import Batch, Output
from workers.store.connection import Connection

Apply = Callable[[Connection, Batch[Any]], Awaitable[list[Output]]]


Decode = Callable[[bytes | None], object | BadRecord]


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything that the engine needs to know of a worker.

    `lanes`: how many of its transactions may run at once in a process, each for other partitions and on a connection of
    its own. `key_begins` returns the expected begin of the key of a record with that value; records with other keys are
    counted.
    """

    name: str
    decoders: Mapping[str, Decode]
    apply: Apply
    lanes: int = 1
    key_begins: Callable[[Any], bytes] = lambda _value: b""
