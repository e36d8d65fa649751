"""A real browser for tests of pages: Chromium without a window, which reaches this machine only."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Page, async_playwright

_ARGUMENTS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        reason = "Chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("CI", "") not in ("", "0", "false"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@asynccontextmanager
async def page_of_a_browser(*, scripted: bool = True) -> AsyncIterator[Page]:
    """A page. At the end, nothing may have gone wrong in its scripts. Not `scripted`: it runs none.

    Raises:
        AssertionError: a script raised, or wrote an error to the console.
    """
    path = _chromium()
    arguments = [*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=arguments)
        page = await browser.new_page(java_script_enabled=scripted)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        try:
            yield page
            assert errors == []
        finally:
            await browser.close()
