"""What requests work with: one value for the whole process."""

from dataclasses import dataclass

from console.access import Access
from console.asking import Asking
from console.events.streams import Events
from console.logins import Logins
from console.proxy import TrustedProxy
from console.rates import Rates
from workers.process.postgres import Postgres
from workers.process.production import Production
from workers.rules.address_hashes import HashKeys


@dataclass(frozen=True, slots=True)
class Parts:
    """The connections of the process, and what is made of them. `hash_keys`: for addresses of deleted contacts."""

    postgres: Postgres
    access: Access
    logins: Logins
    proxy: TrustedProxy
    rates: Rates
    production: Production
    asking: Asking
    hash_keys: HashKeys
    events: Events
