"""What protects contacts at the moment. The view `protections` names the grounds; `claim_send` reads it too."""

from collections import defaultdict
from collections.abc import Collection

from workers.rules.protection import Ground
from workers.runtime.batch import Connection
from workers.store.arrays import columns
from workers.store.contacts import ContactKey
from workers.store.queries import load

_SQL = load("protections")


async def grounds(tx: Connection, keys: Collection[ContactKey]) -> dict[ContactKey, tuple[Ground, ...]]:
    """The grounds for each protected contact; a profile that cannot be read is a ground of its own."""
    found: defaultdict[ContactKey, list[Ground]] = defaultdict(list)
    if keys:
        for workspace_id, contact_id, code, key, since in await tx.fetch(_SQL["grounds"], *columns(sorted(keys), 2)):
            found[workspace_id, contact_id].append(Ground(code, key, since))
    return {key: tuple(grounds) for key, grounds in found.items()}
