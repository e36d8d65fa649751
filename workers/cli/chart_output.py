"""Where a chart goes: a terminal, a file, or a document."""

from pathlib import Path

from workers.cli import chart_text, reports, terminal
from workers.errors import SettingsError
from workers.rules.mac_chart import Chart

_WIDEST = 100  # columns: wider than that a chart is not easier to read


def show(chart: Chart, svg: Path | None, *, as_json: bool) -> None:
    """Prints or writes the chart.

    Raises:
        SettingsError: the file cannot be written.
    """
    if as_json:
        reports.as_document(chart.document())
    elif svg is not None:
        from workers.rules import chart_svg

        try:
            svg.write_text(chart_svg.svg(chart), encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"--svg {svg} cannot be written: {error.strerror or error}") from error
    else:
        screen = terminal.console()
        unicode = screen.encoding.lower().replace("-", "").startswith("utf")
        for line in chart_text.lines(chart, min(screen.width, _WIDEST), unicode=unicode):
            screen.print(line, soft_wrap=True)
