"""Whether the database has what the console asks for: a console without it would tell everybody to ask again later."""

from importlib import resources
from typing import Final

from workers.errors import SetupError
from workers.process.postgres import Postgres
from workers.process.queries import statements

_FILES: Final = sorted(
    one.name.removesuffix(".sql")
    for one in resources.files("console").joinpath("queries").iterdir()
    if one.name.endswith(".sql")
)
_ROLE: Final = "sluice_console"
_SQL: Final = statements("console", "readiness")


async def check(database: Postgres) -> None:
    """Returns once the database has answered, and understands every question of the console.

    Raises:
        SetupError: migrations or rights are missing.
        Any of `Postgres`.
    """
    async with database.snapshot() as connection:
        for name in _FILES:
            for statement in statements("console", name).values():
                await connection.prepare(statement)
        if not await connection.fetchval(_SQL["may"]):
            raise SetupError(f"the database's user lacks a right: the console needs the role {_ROLE}")
