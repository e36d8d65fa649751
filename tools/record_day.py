"""Creates the recorded day: `python -m tools.record_day` writes `day.jsonl.gz` and `day.expected.json`.

The same seed gives the same day, byte for byte, on every machine. Figures that depend on Sluice's rules are not in
`day.expected.json`; the demo computes those.
"""

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Final

from tools.day import DAY_START
from tools.day.blocks import blocks
from tools.day.campaigns import SPRING, answer, campaigns
from tools.day.chatter import everybody_writes
from tools.day.decisions import decide
from tools.day.deletions import deletions
from tools.day.everyday import everyday, releases
from tools.day.garbage import garbage
from tools.day.letters_out import (
    after_the_mistake,
    confirmed_inline,
    held_for_good,
    notices,
    opted_in_again,
    refused,
    replies,
    to_strangers,
)
from tools.day.mergers import merges
from tools.day.oddities import oddities
from tools.day.optouts import early_optouts, optouts_after, removed_channels
from tools.day.profiles import profiles
from tools.day.runs import runs
from tools.day.settings import configure
from tools.day.stage import ATTACHED, BARRIERS, DECIDED, HELD, UNBLOCKED, Stage, make_stage
from tools.day.tape import Json
from workers.dev import recording

SEED: Final = "2026-03-10"


def record(seed: str = SEED) -> Stage:
    """The whole day, on tape."""
    stage = make_stage(seed)
    configure(stage)
    everybody_writes(stage)
    circles = profiles(stage)
    opted_out, opted_in = early_optouts(stage)
    blocked = blocks(stage)
    removed_channels(stage)
    oddities(stage)
    groups = campaigns(stage, circles, blocked.before_sends, opted_out)
    for campaign in groups.values():
        answer(stage, campaign)
    cancelled = decide(stage, groups)
    held_for_good(stage, circles["lumen-br", "company"])
    confirmed_inline(stage, circles["nordwind", "confirmed inline"] + circles["masala-care", "confirmed inline"])
    stoppers = [sent.person for sent in groups[SPRING].sends["recipient"] if sent.person.channel.kind == "whatsapp"][
        :12
    ]
    optouts_after(stage, stoppers)
    refused(stage, stoppers, DECIDED, UNBLOCKED, "who opted out")
    refused(stage, opted_out[:12], ATTACHED, HELD, "who opted out")
    refused(stage, blocked.spammers["lumen-br"][:8] + blocked.before_sends[:8], ATTACHED, HELD, "who is blocked")
    refused(stage, blocked.spammers["nordwind"][:12], DECIDED, UNBLOCKED, "who is blocked")
    refused(stage, [sent.person for sent in cancelled], DECIDED, UNBLOCKED, "who is blocked")
    opted_in_again(stage, opted_in)
    replies(stage)
    notices(stage)
    to_strangers(stage)
    after_the_mistake(stage, blocked.mistaken)
    runs(stage, blocked, circles["nordwind", "held step"])
    releases(stage, blocked.mistaken, blocked.dropped_letters)
    merges(stage)
    deletions(stage)
    everyday(stage)
    garbage(stage)
    for at, name in BARRIERS:
        stage.tape.barrier(at, name)
    return stage


def packed(stage: Stage) -> bytes:
    """The tape, compressed; without the time of making."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as lines:
        for line in stage.tape.lines():
            lines.write(line.encode() + b"\n")
    return buffer.getvalue()


def figures(stage: Stage) -> Json:
    """The known figures of the day, as `workers.dev.recording.Summary` reads them."""
    tape, letters = stage.tape, stage.letters
    echoes = sum(direction == "out" for _, _, direction, _ in letters.identities)
    wrong = tape.phenomena["command with wrong fields"]
    return {
        "start": DAY_START.isoformat().replace("+00:00", "Z"),
        "records": tape.topics.total(),
        "topics": dict(sorted(tape.topics.items())),
        "barriers": [name for _, name in tape.barriers],
        "garbage": dict(sorted(tape.garbage.items())),
        "inbound": {
            "unique_messages": len(letters.identities),
            "unique_inbound": len(letters.identities) - echoes,
            "unique_echoes": echoes,
            "echoes_of_sends": stage.echoes_of_sends,
            "duplicates": letters.repeats,
            "conflicts": letters.conflicts,
            "contradicted_messages": len(letters.contradicted),
        },
        "sends": {"unique": stage.sends, "repeats": stage.repeated_sends},
        "commands": {"unique": stage.commands, "repeats": stage.repeated_commands, "wrong_fields": wrong},
        "phenomena": dict(sorted(tape.phenomena.items())),
    }


def main(folder: Path = Path(recording.__file__).parent) -> None:
    """Writes both files into `folder` and prints the figures."""
    stage = record()
    known = json.dumps(figures(stage), ensure_ascii=False, indent=2)
    (folder / "day.jsonl.gz").write_bytes(packed(stage))
    (folder / "day.expected.json").write_text(known + "\n", encoding="utf-8")
    sys.stdout.write(known + "\n")


if __name__ == "__main__":
    main()
