"""Measures every question one after the other, as `sluice_reader`, by one client and by eight, and prints a table."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.reading import billing
from benchmarks.reading.asking import Question, large, now_of, small
from benchmarks.reading.data import Filled, filled
from benchmarks.reading.questions import QUESTIONS

ALONE_MS: Final = 50
TOGETHER_MS: Final = 150
_CLIENTS: Final = 8
_CALLS: Final = 40
_TOO_LONG_S: Final = 0.3
_ENOUGH_S: Final = 3.0
_FOLDER: Final = Path(__file__).parents[1] / "results"
_READER: Final = {"role": "sluice_reader", "jit": "off", "statement_timeout": "5s"}


class Times(NamedTuple):
    """Milliseconds."""

    p50: float
    p95: float


_NEVER: Final = (Times(inf, inf), None, Times(inf, inf))


class Answer(NamedTuple):
    """How long one question takes; `rows` is the most that one call returned. What is slow alone has no `together`."""

    question: str
    rows: int
    alone: Times
    together: Times | None
    small: Times


def main() -> int:
    """Parses the command line, makes the data unless it is there, measures, prints. Returns the exit code."""
    arguments = _parser().parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    names = arguments.only or [""]
    chosen = [q for q in QUESTIONS if any(name in q.name for name in names)]
    with filled(arguments.folder, arguments.scale, console.print) as data:
        answers = asyncio.run(_measured(console, data, chosen))
        if not arguments.only or "billing" in arguments.only:
            for what, ms in asyncio.run(billing.measured(data)):
                console.print(f"{what:<44} {ms:>10,.1f} ms")
    console.print(_table(data, answers))
    arguments.folder.joinpath(f"reading-{arguments.scale:g}.json").write_bytes(msgspec.json.encode(answers))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument(
        "--scale", type=float, default=0.1, help="1: a million contacts, ten million messages (default 0.1)"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PART",
        help="only questions with one of these in their name; `billing`: what billing does",
    )
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the data is kept from run to run")
    return parser


async def _measured(console: Console, data: Filled, chosen: Sequence[Question]) -> Sequence[Answer]:
    clients = [await asyncpg.connect(data.url, server_settings=_READER) for _ in range(_CLIENTS)]
    answers: list[Answer] = []
    for question in chosen:
        answers.append(await _answer(data, question, clients))
        console.print(_line(answers[-1]))
    for client in clients:
        await client.close()
    return answers


async def _answer(data: Filled, question: Question, clients: Sequence[Any]) -> Answer:
    now = now_of(data.now)
    asked = [await client.prepare(question.statement) for client in clients]
    values = [question.values(large(data.contacts, now), n) for n in range(_CALLS)]
    began, rows = time.perf_counter(), 0
    try:
        rows = len(await asked[0].fetch(*values[0]))
    except asyncpg.QueryCanceledError:
        return Answer(question.name, rows, *_NEVER)
    slow = time.perf_counter() - began > _TOO_LONG_S
    values = values[: 2 if slow else _CALLS]
    if not slow:
        rows = max([rows, *[len(await asked[0].fetch(*v)) for v in values]])
    alone = _times(await _calls(asked[0], values))
    few = _times(await _calls(asked[0], [question.values(small(now), n) for n in range(len(values))]))
    if slow:
        return Answer(question.name, rows, alone, None, few)
    # Each client begins elsewhere, and has asked often enough before to have the plan it keeps.
    turned = [(values[5 * n :] + values[: 5 * n])[: _few(alone)] for n in range(_CLIENTS)]
    await asyncio.gather(*(_calls(a, v[:6]) for a, v in zip(asked, turned, strict=True)))
    together = await asyncio.gather(*(_calls(a, v) for a, v in zip(asked, turned, strict=True)))
    return Answer(question.name, rows, alone, _times([t for times in together for t in times]), few)


def _few(alone: Times) -> int:
    """Calls of each client: fewer of what is slow."""
    return max(3, min(_CALLS, int(1000 * _ENOUGH_S / _CLIENTS / alone.p50)))


async def _calls(asked: Any, values: Sequence[Sequence[object]]) -> list[float]:
    times: list[float] = []
    for each in values:
        began = time.perf_counter()
        await asked.fetch(*each)
        times.append(1000 * (time.perf_counter() - began))
    return times


def _times(found: Sequence[float]) -> Times:
    return Times(round(median(found), 1), round(quantiles(found, n=20, method="inclusive")[-1], 1))


def _line(answer: Answer) -> str:
    return f"{answer.question:<36} {answer.rows:>4} {answer.alone} {answer.together} {answer.small}"


def _table(data: Filled, answers: Sequence[Answer]) -> Table:
    table = Table(title=f"{data.contacts:,} contacts, {data.messages:,} messages; milliseconds, p50 and p95", box=None)
    table.add_column("question")
    for name in ("rows", "one client", "p95", "eight clients", "p95", "a small workspace", "p95"):
        table.add_column(name, justify="right")
    for answer in answers:
        together = answer.together or Times(float("nan"), float("nan"))
        late = answer.alone.p95 > ALONE_MS or not together.p95 <= TOGETHER_MS
        figures = [f"{t:,.1f}" for times in (answer.alone, together, answer.small) for t in times]
        table.add_row(answer.question, str(answer.rows), *figures, style="bold" if late else "")
    return table


if __name__ == "__main__":
    sys.exit(main())
