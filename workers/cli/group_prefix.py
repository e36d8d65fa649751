"""Actions of `sluice progress rebind`: binds a database to the configured group prefix on purpose."""

from typing import NamedTuple

from workers.app.database_failures import connected, reading
from workers.app.settings import Settings
from workers.store import group_binding, progress


class Rebinding(NamedTuple):
    """The old prefix, None if no record has been applied yet, and the new one. `at_work`: workers that will be
    fenced.
    """

    bound_to: str | None
    to: str
    at_work: list[str]

    @property
    def needed(self) -> bool:
        """Whether there is anything to change."""
        return self.bound_to not in (None, self.to)


async def planned(settings: Settings) -> Rebinding:
    """What `rebound` would do.

    Raises:
        SetupError, Unreachable: PostgreSQL does not answer or refuses.
    """
    async with reading(settings) as tx:
        bound = await group_binding.bound(tx)
        at_work = {row.owner for row in await progress.listed(tx) if row.working and row.owner}
    return Rebinding(", ".join(bound) or None, settings.group_prefix, sorted(at_work))


async def rebound(settings: Settings) -> None:
    """Binds the database. Fences running workers.

    Raises:
        SetupError, Unreachable: PostgreSQL does not answer or refuses.
    """
    async with connected(settings, "progress") as connection, connection.transaction():
        await group_binding.rebind(connection, settings.group_prefix)


def rebinding_described(plan: Rebinding) -> str:
    """The present state, or what will change."""
    if plan.bound_to is None:
        return "the database is bound to no group prefix: the first record applied will bind it"
    if not plan.needed:
        return f"the database is bound to the group prefix {plan.to} already"
    busy = "".join(f"; {owner} is running and ends at its next record" for owner in plan.at_work)
    return (
        f"the database is bound to the group prefix {plan.bound_to}: workers of {plan.to} will go on where its "
        f"partitions stand, and those of {plan.bound_to} are refused{busy}"
    )
