"""Looks at a page as people do: light and dark, wide and on a phone, and with the rules of axe for accessibility.

    async with team.browser(team.owner) as page:
        await page.goto(team.console.url + team.owner.at("confirm"))
        await looked_at(page, "confirm-empty")

With the environment variable ARTEFACTS each look is kept as a picture in its folder `pages`.
"""

import os
from pathlib import Path
from typing import Any, Final, Literal

from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page

_WIDE: Final = (1280, 800)
_PHONE: Final = (390, 844)
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


async def looked_at(page: Page, name: str) -> None:
    """Looks at the present page in each way, and leaves it wide and light.

    Raises:
        AssertionError: something of it breaks a rule of axe, or it is wider than the window.
    """
    for width, height in (_PHONE, _WIDE):
        await page.set_viewport_size({"width": width, "height": height})
        too_wide = await overflowing(page)
        assert not too_wide, f"{name} is wider than {width} px: {too_wide}"
        for scheme in reversed(_SCHEMES):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await _keep(page, f"{name}-{'phone' if width == _PHONE[0] else 'wide'}-{scheme}")
            broken = await broken_rules(page)
            assert not broken, f"{name}, {width} px, {scheme}: {broken}"


async def broken_rules(page: Page) -> list[str]:
    """The rules of axe that the page breaks, each with the elements that do."""
    found = await Axe().run(page)
    rules: list[dict[str, Any]] = found.response["violations"]
    return [f"{rule['id']}: {[node['html'][:200] for node in rule['nodes'][:5]]}" for rule in rules]


async def overflowing(page: Page) -> list[str]:
    """What makes the page wider than its window; empty: nothing does."""
    found: list[str] = await page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] :
            [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
                .map((one) => one.outerHTML.slice(0, 120)).slice(0, 5)"""
    )
    return found


async def _keep(page: Page, name: str) -> None:
    folder = os.environ.get("ARTEFACTS")
    if folder:
        await page.screenshot(path=Path(folder, "pages", f"{name}.png"))
