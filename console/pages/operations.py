"""What operators see: how far the workers are, and what is still to be done."""

from typing import Final

from starlette.responses import Response

from console.pages.page import PageRequest, PageRoute
from console.reading import operations
from console.reading.paging import MOST

NEW: Final = "new"


async def shown(page: PageRequest) -> Response:
    """Partitions, backlog, pending work, and what holds cycles open."""
    async with page.parts.postgres.snapshot() as connection:
        status = await operations.status(connection)
        partitions = await operations.partitions(connection, MOST, page.query("cursor"))
        letters = {row["status"]: row["letters"] for row in status["dead_letters"]}
        behind = await operations.lags(connection, [(row["topic"], row["partition"]) for row in partitions.items])
        return await page.render(
            connection,
            "operations",
            standing=status,
            most=operations.MOST_HOLDS,
            partitions=partitions,
            behind=behind,
            workers=await operations.workers(connection),
            letters=letters,
        )


PAGES: Final = (PageRoute("operations", shown),)
