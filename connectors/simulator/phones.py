"""What the phones of the simulator show: the messages between people and channels, newest last, bounded."""

from collections import OrderedDict, deque
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from schemas.building import sendable
from schemas.fields import utc_text

_MOST_PHONES: Final = 500
_MOST_MESSAGES: Final = 200


@dataclass(slots=True)
class Shown:
    """A message on a phone. `status` of what a channel sent: `taken`, `delivered`, `read`; of what a person wrote:
    `sending`, `received` (the receiver answered 200) or `lost`.
    """

    number: int
    from_person: bool
    text: str
    status: str
    at: datetime


class Phones:
    """The phones: one for each person and channel. The ones used least recently are forgotten first."""

    def __init__(self) -> None:
        self._phones: OrderedDict[tuple[str, str], deque[Shown]] = OrderedDict()
        self.changes = 0
        """Counts changes, for who waits for one."""

    def add(self, place: str, person: str, shown: Shown) -> None:
        """Adds a message to the phone of a person."""
        phone = self._phones.setdefault((place, person), deque(maxlen=_MOST_MESSAGES))
        self._phones.move_to_end((place, person))
        phone.append(shown)
        if len(self._phones) > _MOST_PHONES:
            self._phones.popitem(last=False)
        self.changes += 1

    def update(self, shown: Shown, status: str) -> None:
        """Changes the status of a message."""
        shown.status = status
        self.changes += 1

    def document(self) -> list[dict[str, Any]]:
        """All phones as JSON, the one used last first."""
        return [
            {
                "channel": place,
                "person": sendable(person),
                "messages": [
                    asdict(shown) | {"text": sendable(shown.text), "at": utc_text(shown.at)} for shown in phone
                ],
            }
            for (place, person), phone in reversed(self._phones.items())
        ]
