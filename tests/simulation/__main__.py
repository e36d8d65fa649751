"""Explores schedules, as many as asked for, and shows the first one that breaks a law."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Final

from tests.simulation.planted import BUGS
from tests.simulation.schedule import ANY, AS_IT_IS, Outcome, run, trace

_PROGRESS_EVERY: Final = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every law held, 1 if one was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=3000, help="how many seeds (default: 3000)")
    parser.add_argument("--seed", type=int, default=1, help="the first one (default: 1)")
    parser.add_argument("--only", type=int, metavar="SEED", help="this seed alone")
    parser.add_argument(
        "--trace", action="store_true", help="with --only: all that happened, also if no law was broken"
    )
    parser.add_argument("--bug", choices=sorted(BUGS), help="with a planted bug")
    chosen = parser.parse_args(arguments)
    bug = BUGS.get(chosen.bug)
    parts, climate = (bug.parts, bug.climate) if bug else (AS_IT_IS, ANY)
    with bug.planted() if bug else nullcontext():
        if chosen.only is not None:
            return _show((trace if chosen.trace else run)(chosen.only, parts, climate))
        return _explore(range(chosen.seed, chosen.seed + chosen.schedules), lambda seed: run(seed, parts, climate))


def _explore(seeds: range, run_: Callable[[int], Outcome]) -> int:
    seen: Counter[str] = Counter()
    began = time.monotonic()
    for number, seed in enumerate(seeds, start=1):
        outcome = run_(seed)
        seen += outcome.seen
        if outcome.broken is not None:
            _say("")
            return _show(outcome)
        if number % _PROGRESS_EVERY == 0 or number == len(seeds):
            rate = number / (time.monotonic() - began) * 60
            sys.stderr.write(f"\r{number} of {len(seeds)} schedules, seed {seed}, {rate:,.0f} a minute ")
            sys.stderr.flush()
    _say("")
    for what, times in seen.most_common():
        _say(f"{times:8}  {what}")
    _say("every law held")
    return 0


def _show(outcome: Outcome) -> int:
    if outcome.trace:
        _say(outcome.trace)
    if outcome.broken is None:
        _say(f"seed {outcome.seed}: every law held")
        return 0
    _say(f"seed {outcome.seed} breaks a law\n{outcome.broken}")
    return 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
