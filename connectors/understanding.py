"""What a webhook says: collects the records of its events, and what could not be understood of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import MsgspecError

from schemas.building import Record, inbound_record, receipt_record, sendable
from schemas.inbound import InboundMessage
from schemas.receipts import DeliveryReceipt

_MOST_ERRORS: Final = 20
_LONGEST_TYPE: Final = 64
_BAD_EVENT: Final = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, MsgspecError)


class Understanding:
    """The records of a webhook, in the order of its events.

    `ignored` counts events that mean nothing to us, by type. `errors` says of each event that could not be understood
    what was expected; never what came. `accounts` are other accounts of the provider that events are about.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.ignored: Counter[str] = Counter()
        self.errors: list[str] = []
        self.accounts: set[str] = set()

    def add(self, record: InboundMessage | DeliveryReceipt) -> None:
        """Adds a record.

        Raises:
            ValueError: the workers could not read it.
        """
        built = inbound_record(record) if isinstance(record, InboundMessage) else receipt_record(record)
        self.records.append(built)

    def ignore(self, type_: str) -> None:
        """Counts an event that means nothing to us. `type_` is one of the provider's few words, nothing of a person."""
        self.ignored[sendable(type_[:_LONGEST_TYPE])] += 1

    def fail(self, error: str) -> None:
        """Notes why something could not be understood."""
        if len(self.errors) < _MOST_ERRORS:
            self.errors.append(error)

    @contextmanager
    def event(self, what: str = "event") -> Iterator[None]:
        """Inside is one event: if it cannot be understood, no record of it remains, and the others are not touched."""
        before = len(self.records)
        try:
            yield
        except _BAD_EVENT as error:
            del self.records[before:]
            self.fail(f"{what}: {_explained(error)}")


def _explained(error: Exception) -> str:
    """The texts of other errors than ours and those of msgspec may quote what came."""
    if isinstance(error, KeyError):
        return f"Expected the field `{error.args[0]}`" if isinstance(error.args[0], str) else "Expected another field"
    if isinstance(error, MsgspecError) or str(error).startswith("Expected"):
        return str(error)
    return f"Expected another shape ({type(error).__name__})"
