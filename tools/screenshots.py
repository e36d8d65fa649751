"""Makes the pictures of the console in docs/images: `python -m tools.screenshots`, which `make screenshots` does.

Plays the recorded day with `sluice demo --stay` and opens two of its pages in Chromium. The pages are the same each
time but for the times that they show, and for the fonts of the machine.
"""

import asyncio
import re
import shutil
import sys
from asyncio import StreamReader
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

from playwright.async_api import Page, async_playwright

_FOLDER: Final = Path(__file__).parent.parent / "docs" / "images"
_MOST_BYTES: Final = 150_000
_SIZE: Final = (1180, 720)
_DAY_S: Final = 300.0
_LINK: Final = re.compile(rb"The console: (http://\S+)")
WORKSPACE: Final = "lumen-br"
_OPENED: Final = 2  # of the queue, the oldest first
CYCLE: Final = "2026-03-10T03:00:00Z"


async def main() -> None:
    """Plays the day, makes the pictures, and stops what it started."""
    demo = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("sluice")), "demo", "--stay", stdout=PIPE, stderr=STDOUT
    )
    try:
        if demo.stdout is not None:
            await _pictures(await asyncio.wait_for(_link(demo.stdout), _DAY_S))
    finally:
        demo.terminate()
        await demo.communicate()


async def _link(said: StreamReader) -> str:
    async for line in said:
        found = _LINK.search(line)
        if found is not None:
            return found[1].decode()
    raise SystemExit("the demo ended before it had a console")


async def _pictures(link: str) -> None:
    at = link.partition("/login")[0] + f"/w/{WORKSPACE}"
    path = shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": _SIZE[0], "height": _SIZE[1]}, color_scheme="light")
        await page.goto(link)
        await page.goto(f"{at}/confirm")
        await page.locator("#queue .row").nth(_OPENED).click()
        await page.locator("#hold").wait_for()
        await _keep(page, "confirm")
        await page.goto(f"{at}/active?cycle={CYCLE}")
        await page.locator("svg.chart").wait_for()
        await _keep(page, "active-contacts")
        await browser.close()


async def _keep(page: Page, name: str) -> None:
    picture = _FOLDER / f"{name}.png"
    _FOLDER.mkdir(exist_ok=True)
    await page.screenshot(path=picture, animations="disabled")
    if picture.stat().st_size > _MOST_BYTES:
        raise SystemExit(f"{picture} has more than {_MOST_BYTES:,} bytes")


if __name__ == "__main__":
    asyncio.run(main())
