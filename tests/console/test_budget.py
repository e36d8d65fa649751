"""What a page costs a browser: how many bytes, and nothing of anybody else."""

from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from console.pages import PAGES
from tests.console.running import Team

MOST_BYTES: Final = 150_000
NO_PAGES: Final = ("events", ".csv", ".svg")
LISTS: Final = sorted(
    {page.path for page in PAGES if page.method == "GET" and "{" not in page.path and not page.path.endswith(NO_PAGES)}
)


@pytest.mark.parametrize("path", LISTS)
async def test_a_page_is_small_and_asks_nobody_else(team: Team, path: str) -> None:
    await team.workspace.play(team.workspace.message())
    sizes: dict[str, int] = {}
    addresses: dict[str, str] = {}

    def asked(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"]
        sizes[event["request"]["url"]] = 0

    def loaded(event: dict[str, Any]) -> None:
        sizes[addresses[event["requestId"]]] = int(event["encodedDataLength"])

    async with team.browser(team.owner) as page:
        session = await page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", asked)
        session.on("Network.loadingFinished", loaded)
        await session.send("Network.enable")
        await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        answer = await page.goto(team.console.url + team.owner.at(path))
        await page.wait_for_load_state("load")
        assert answer is not None

    assert {urlsplit(url).netloc for url in sizes} == {urlsplit(team.console.url).netloc}
    assert sum(sizes.values()) > 1_000
    assert sum(sizes.values()) < MOST_BYTES, sizes
