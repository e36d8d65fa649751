"""What requests work with: one value for the whole process."""

from dataclasses import dataclass

from console.access import Access
from console.asking import Asking
from console.events.streams import Events
from workers.process.postgres import Postgres
from workers.rules.address_hashes import HashKeys


@dataclass(frozen=True, slots=True)
class Parts:
    """The connections of the process, and what is made of them. `hash_keys`: for addresses of deleted contacts."""

    postgres: Postgres
    access: Access
    asking: Asking
    hash_keys: HashKeys
    events: Events
