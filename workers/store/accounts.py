"""Billing accounts, as the accounts file had them when a billing worker started."""

from collections.abc import Mapping
from typing import Final

from workers.store.connection import Connection
from workers.store.queries import load

_SQL: Final = load("accounts")


async def replace(tx: Connection, account_of: Mapping[str, str]) -> None:
    """Stores the account of each workspace in place of all that were there."""
    await tx.execute(_SQL["lock"])
    await tx.execute(_SQL["replace"], list(account_of), list(account_of.values()))
