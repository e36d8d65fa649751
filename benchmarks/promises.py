"""What the peers in `benchmarks/sides` do not promise. Sluice promises all of it: docs/delivery.md."""

from collections.abc import Mapping, Sequence
from typing import Final

_PER_MESSAGE: Final = ("aiokafka-1", "aiokafka-16", "faststream-1", "faststream-16")
_ALL: Final = (*_PER_MESSAGE, "confluent", "quix")

LACKING: Final[Mapping[str, Sequence[str]]] = {
    "anything: no contacts, blocks, counts or dead letters, and a record that comes again ends it": ("floor",),
    "a repeat is the same: after a crash between COMMIT and the offset the output is made anew, and a contact blocked"
    " meanwhile turns what was stored and published as accepted into dropped": _ALL,
    "few repeats: a crash repeats up to five seconds of outputs": ("quix",),
    "a late owner is stopped: after a rebalance it stores and publishes the rest of its poll beside the new one": _ALL,
    "a block holds from its moment on: it may come between look-up and insert, and the past stays as it is": _ALL,
    "a bad record is put aside: it ends the process, and the next one as well": (
        "aiokafka-1",
        "aiokafka-16",
        "confluent",
        "quix",
    ),
    "a bad record is put aside: it is read again and again, and its partition waits": ("faststream-1", "faststream-16"),
    "sixteen at once: workers are consumers of one group, so there is no more work than partitions": ("faststream-16",),
    "steady progress: a poll takes as long as its fullest lane": ("aiokafka-16",),
}
"""Sentence -> the sides that do not promise it."""
