"""`sluice status --watch`: one look after the other, in place on a terminal."""

import signal
import sys
import time

import msgspec

from workers.app.settings import Settings
from workers.cli import reports, status
from workers.cli.reports import Report
from workers.cli.terminal import console, run_to_end
from workers.rules.lag import Applied
from workers.terminal_text import visible_json


def watched(settings: Settings, interval_s: float, *, as_json: bool, wide: bool) -> None:
    """Looks until Ctrl-C or SIGTERM. JSON: each look is one line.

    Raises:
        SetupError, Unreachable: the database does not answer, or refuses.
    """
    # Also where the parent ignores SIGINT, as shells do for jobs in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if as_json or not sys.stdout.isatty():
            _printed(settings, interval_s, as_json=as_json, wide=wide)
        else:
            _live(settings, interval_s, wide=wide)
    except KeyboardInterrupt:
        return


def _printed(settings: Settings, interval_s: float, *, as_json: bool, wide: bool) -> None:
    before: Applied | None = None
    while True:
        report, before = _looked(settings, before)
        if as_json:
            line = msgspec.json.encode(reports.documents(report), enc_hook=str).decode()
            sys.stdout.write(visible_json(line) + "\n")
        else:
            reports.show(console, report, as_json=False, wide=wide)
            sys.stdout.write("\n")
        sys.stdout.flush()
        time.sleep(interval_s)


def _live(settings: Settings, interval_s: float, *, wide: bool) -> None:
    from rich.live import Live
    from rich.text import Text

    screen = console()
    before: Applied | None = None
    with Live(console=screen, auto_refresh=False, vertical_overflow="crop", screen=True) as live:
        while True:
            report, before = _looked(settings, before)
            with screen.capture() as drawn:
                reports.show(lambda: screen, report, as_json=False, wide=wide)
            live.update(Text.from_ansi(drawn.get()), refresh=True)
            time.sleep(interval_s)


def _looked(settings: Settings, before: Applied | None) -> tuple[Report, Applied]:
    now = run_to_end(status.look(settings))
    return status.report(before or now.applied, now), now.applied
