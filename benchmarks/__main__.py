"""Measures Sluice, the floor and the peers, on real Kafka and PostgreSQL, and reports the results."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import plot, quick, report
from benchmarks.figures import Figures
from benchmarks.processes import SideFailed
from benchmarks.result import Result, Throughput
from benchmarks.stage import stage
from benchmarks.suite import MEASUREMENTS, QUICK, ROUNDS, Measurement, run, scaled

_RESULTS: Final = Path(__file__).with_name("results") / "latest.json"
_ABOUT: Final = {m.name: m.about for m in MEASUREMENTS}
_EPILOGUE: Final = """
Every side is a process of its own with a database of its own. Rounds go through all sides in turn, and the report shows
medians. Machines differ and are shared: compare ratios within a run, never rates of two runs. A whole run takes about
half an hour and 25 GB of disk, and wants the machine to itself.

--quick (make bench-quick) measures the floor and inbound only, in five rounds and under two minutes. It exits with 1
if their ratio is more than 15 % below the one recorded in benchmarks/reference.json. When inbound has become faster,
or slower for a good reason, renew it on a quiet machine with `python -m benchmarks --quick --record`, and commit the
file together with the change.

sides:
"""


def main() -> int:
    """Parses the command line, measures, reports. Returns the exit code."""
    arguments = _parser().parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200)
    chosen = QUICK if arguments.quick else [m for m in MEASUREMENTS if not arguments.only or m.name in arguments.only]
    results, failed = _measured(console, [scaled(m, arguments.scale) for m in chosen], arguments.rounds)
    figures = Figures(results)
    if arguments.quick:
        return _judge(console, figures, record=arguments.record)
    report.show(console, figures, _ABOUT)
    report.write(arguments.json, figures)
    plot.write(arguments.json.with_suffix(".svg"), figures)
    console.print(f"Figures and curves are in {arguments.json} and {arguments.json.with_suffix('.svg').name}.")
    for error in failed:
        console.print(f"[red]{error}[/red]")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    sides = "\n".join(f"  {m.name:<18} {m.about}" for m in MEASUREMENTS)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=_EPILOGUE + sides,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [m.name for m in MEASUREMENTS]
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="SIDE", default=[], help="measure these sides alone"
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help=f"how often each side is measured (default {ROUNDS})"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="a share of the records, to try something out: 0.1")
    parser.add_argument("--json", type=Path, default=_RESULTS, help="where the figures go (default benchmarks/results)")
    parser.add_argument("--quick", action="store_true", help="has inbound lost speed? see below")
    parser.add_argument("--record", action="store_true", help="with --quick: take the ratio as the reference")
    return parser


def _measured(
    console: Console, chosen: Sequence[Measurement], rounds: int
) -> tuple[Sequence[Result], Sequence[SideFailed]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results: list[Result] = []
    failed: list[SideFailed] = []
    with Progress(*columns, console=console, transient=True) as progress, stage() as servers:
        whole = progress.add_task("all", total=rounds * len(chosen))
        current = progress.add_task("starting the servers", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(current, description=what, completed=done, total=total)

        for result in run(servers, chosen, rounds, tell):
            progress.advance(whole)
            if isinstance(result, SideFailed):
                failed.append(result)
            else:
                results.append(result)
            console.print(_line(result))
    return results, failed


def _line(result: Result | SideFailed) -> str:
    if isinstance(result, SideFailed):
        return f"[red]{str(result).splitlines()[0]}[/red]"
    if isinstance(result, Throughput):
        return f"round {result.round + 1}  {result.side:<18} {result.rate:>10,.0f} records/s"
    return f"round {result.round + 1}  {result.side:<18} p50 {result.p50:,.1f} ms, p99 {result.p99:,.1f} ms"


def _judge(console: Console, figures: Figures, *, record: bool) -> int:
    ratio = figures.ratio("inbound", "floor")
    if ratio is None:
        console.print("Nothing could be measured.")
        return 1
    answer = quick.record(ratio) if record else quick.compare(ratio)
    console.print(answer.sentence)
    return answer.exit_code


if __name__ == "__main__":
    sys.exit(main())
