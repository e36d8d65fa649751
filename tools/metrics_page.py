"""Writes `docs/metrics.md` from the metrics in the code: `python -m tools.metrics_page`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workers.process.metrics.catalogue import SECTIONS
from workers.process.metrics.kinds import Entry, Section

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"

_INTRODUCTION: Final = """\
# Metrics

<!-- made by python -m tools.metrics_page -->

Every process serves its metrics for Prometheus at `/metrics` on `SLUICE_METRICS_PORT`, beside `/live` and `/ready`
([health](operations.md#health)). `python -m tools.metrics_page` writes this page from the code.

- Each counter starts at 0, for each value of its labels that is known before, when a process that uses it starts: so
  `increase(…)` sees the first event too. After that it counts what is committed or acknowledged, not what was tried.
- Durations are in seconds. A histogram has `_bucket`, `_sum` and `_count`.
- No label shows the address, the name or the text of a person, or a workspace.
"""


def page() -> str:
    """The whole page, as the code has the metrics now."""
    return "\n".join([_INTRODUCTION, *(line for section in SECTIONS for line in _lines(section))])


def _lines(section: Section) -> Iterator[str]:
    yield f"## {section.title}\n"
    if section.about:
        yield f"{section.about}\n"
    yield "| metric | type | labels | what it tells | alert on |\n| --- | --- | --- | --- | --- |"
    yield "".join(f"{_row(entry)}\n" for entry in section.entries)


def _row(entry: Entry) -> str:
    cells = (f"`{entry.name}`", entry.kind, ", ".join(entry.labels), entry.tells, entry.alert)
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
