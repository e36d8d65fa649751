"""What an inbox, an API and operators ask first, as they would ask it: each question is a page, or one row."""

from collections.abc import Sequence
from typing import Final

from benchmarks.reading.asking import (
    FUNCTION,
    MONTH,
    NEVER,
    Place,
    Question,
    assignee,
    command,
    contact,
    lately,
    longest,
    made,
    number,
    older,
    page,
    profile,
    some_time_ago,
    whole,
    words,
)

QUESTIONS: Final[Sequence[Question]] = (
    Question("may_send to a contact", f"{FUNCTION}may_send($1, $2::uuid, 'whatsapp')", contact),
    Question(
        "may_send to an address",
        f"{FUNCTION}may_send($1, $2::text, 'whatsapp')",
        number,
    ),
    Question("contacts by name", f"{FUNCTION}contacts_by_name($1, NULL, NULL, 50)", whole),
    Question("contacts by name, by the view", page("contact_list", "display_name, contact_id"), whole),
    Question(
        "contacts by name, from the middle",
        f"{FUNCTION}contacts_by_name($1, $2, $3, 50)",
        lambda place, n: (place.workspace, f"{chr(ord('B') + n % 16)}", NEVER),
    ),
    Question(
        "contacts without a name",
        f"{FUNCTION}contacts_by_name($1, NULL, $2, 50)",
        lambda place, n: (place.workspace, place.contact(n)),
    ),
    Question("contacts with a tag", f"{FUNCTION}contact_page($1, $2, '{NEVER}', 50)", words("tag 1", "tag 7")),
    Question("blocked contacts, newest", page("blocked_contacts", "blocked_at DESC, contact_id DESC"), whole),
    Question("blocked contacts, older", older("blocked_contacts", "blocked_at, contact_id"), some_time_ago),
    Question("a contact", f"{FUNCTION}contact_overview WHERE workspace_id = $1 AND contact_id = $2", contact),
    Question("its channels", f"{FUNCTION}contact_channels WHERE workspace_id = $1 AND contact_id = $2", contact),
    Question(
        "a channel by address",
        f"{FUNCTION}contact_channels WHERE workspace_id = $1 AND address = $2",
        number,
    ),
    Question("search: a rare word", f"{FUNCTION}search_contacts($1, $2, 50)", words("9e3", "c0ff", "beef1")),
    Question("search: a common word", f"{FUNCTION}search_contacts($1, $2, 50)", words("smith", "anna", "guest")),
    Question("search: one or two characters", f"{FUNCTION}search_contacts($1, $2, 50)", words("a", "李", "ro")),
    Question("search: part of a number", f"{FUNCTION}search_contacts($1, $2, 50)", words("151100012", "0034", "77")),
    Question(
        "search: a number",
        f"{FUNCTION}search_contacts($1, $2, 50)",
        number,
    ),
    Question("search: an e-mail address", f"{FUNCTION}search_contacts($1, $2, 50)", words("user12@example.org")),
    Question("inbox: open, newest", page("inbox", "last_message_at DESC", " AND status = 'open'"), whole),
    Question(
        "inbox: open, before a moment",
        page("inbox", "last_message_at DESC", " AND status = 'open' AND last_message_at < $2"),
        lambda place, n: (place.workspace, place.ago(n)),
    ),
    Question(
        "inbox: open, of one assignee",
        page("inbox", "last_message_at DESC", " AND status = 'open' AND assignee = $2"),
        assignee,
    ),
    Question("inbox: a page of all", f"{FUNCTION}inbox_page($1, NULL, NULL, NULL, NULL, 50)", whole),
    Question("inbox: an older page of all", f"{FUNCTION}inbox_page($1, NULL, NULL, $2, $3, 50)", some_time_ago),
    Question("inbox: a page of a status", f"{FUNCTION}inbox_page($1, 'closed', NULL, $2, $3, 50)", some_time_ago),
    Question("inbox: a page of an assignee", f"{FUNCTION}inbox_page($1, NULL, $2, NULL, NULL, 50)", assignee),
    Question(
        "inbox: those without a message",
        f"{FUNCTION}inbox_page($1, NULL, NULL, NULL, $2, 50)",
        lambda place, n: (place.workspace, place.contact(n)),
    ),
    Question("inbox: snoozed", page("inbox", "last_message_at DESC", " AND status = 'snoozed'"), whole),
    Question("a conversation, newest", f"{FUNCTION}conversation_page($1, $2, NULL, NULL, 50)", contact),
    Question("a very long one, newest", f"{FUNCTION}conversation_page($1, $2, NULL, NULL, 50)", longest),
    Question(
        "a very long one, older",
        f"{FUNCTION}conversation_page($1, $2, $3, NULL, 50)",
        lambda place, n: (*longest(place, n), place.ago(n)),
    ),
    Question(
        "a conversation by the view",
        f"{FUNCTION}conversation_messages WHERE workspace_id = $1 AND contact_id = $2"
        " ORDER BY event_time DESC LIMIT 50",
        contact,
    ),
    Question(
        "moments of a profile",
        f"{FUNCTION}profile_page($1, $2, NULL, NULL, 50)",
        profile,
    ),
    Question("of a very longest one", f"{FUNCTION}profile_page($1, $2, NULL, NULL, 50)", words("p-longest")),
    Question(
        "moments of a profile by the view",
        f"{FUNCTION}profile_moments WHERE workspace_id = $1 AND profile_id = $2 ORDER BY event_time DESC LIMIT 50",
        profile,
    ),
    Question("drops, newest", f"{FUNCTION}drops_page($1, NULL, NULL, 50)", whole),
    Question("drops, older", f"{FUNCTION}drops_page($1, $2, $3, 50)", lately),
    Question("drops of a contact", f"{FUNCTION}drop_ledger WHERE workspace_id = $1 AND contact_id = $2", contact),
    Question("sends, newest", f"{FUNCTION}sends_page($1, NULL, NULL, NULL, 50)", whole),
    Question("sends, newest failed", f"{FUNCTION}sends_page($1, 'failed', NULL, NULL, 50)", whole),
    Question("sends of a contact", f"{FUNCTION}sends WHERE workspace_id = $1 AND contact_id = $2", contact),
    Question(
        "a send",
        f"{FUNCTION}sends WHERE workspace_id = $1 AND send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question(
        "attempts of a send",
        f"{FUNCTION}send_attempts WHERE workspace_id = $1 AND send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question(
        "confirmations of a send",
        f"{FUNCTION}send_confirmations WHERE workspace_id = $1 AND send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question(
        "a group's counts",
        f"{FUNCTION}send_groups WHERE workspace_id = $1 AND group_id = $2",
        lambda place, n: (place.workspace, f"group-{n}"),
    ),
    Question("holds, oldest", page("held_sends", "held_at, send_id"), whole),
    Question(
        "holds, newer", page("held_sends", "held_at, send_id", " AND (held_at, send_id) > ($2, $3)"), some_time_ago
    ),
    Question(
        "holds of a group",
        page("held_sends", "held_at, send_id", " AND group_id = $2"),
        lambda place, n: (place.workspace, f"group-{n}"),
    ),
    Question(
        "one hold",
        f"{FUNCTION}held_sends h CROSS JOIN LATERAL sluice.hold_details(h.workspace_id, h.send_id)"
        " CROSS JOIN LATERAL sluice.send_details(h.workspace_id, h.send_id)"
        " WHERE h.workspace_id = $1 AND h.send_id = $2",
        lambda place, n: (place.workspace, place.send(n)),
    ),
    Question("holds that can go", page("held_sends", "held_at, send_id", " AND releasable"), whole),
    Question("profiles by name", page("profile_overview", "name, profile_id"), whole),
    Question("profiles, protected", page("profile_overview", "name, profile_id", " AND protected"), whole),
    Question("profiles: a search", f"{FUNCTION}search_profiles($1, $2, 50)", words("9e3", "house", "c0ff")),
    Question(
        "a profile",
        f"{FUNCTION}profile_overview WHERE workspace_id = $1 AND profile_id = $2",
        profile,
    ),
    Question("merge suggestions", page("merge_suggestions", "field, value"), whole),
    Question(
        "merge suggestions, from the middle",
        page("merge_suggestions", "field, value", " AND (field, value) > ('email', $2)"),
        lambda place, n: (place.workspace, f"user{n}"),
    ),
    Question("suggestions of a contact", f"{FUNCTION}suggestions_of($1, $2)", contact),
    Question("merges, newest", page("merge_history", "merged_at DESC, merge_id DESC"), whole),
    Question("merges, older", older("merge_history", "merged_at, merge_id"), some_time_ago),
    Question("runs, newest", f"{FUNCTION}runs_page($1, NULL, NULL, 50)", whole),
    Question("runs of a contact, newest", f"{FUNCTION}contact_runs($1, $2, NULL, 50)", contact),
    Question(
        "why a run ended",
        f"{FUNCTION}runs_page($1, $2, NULL, 1) r CROSS JOIN LATERAL sluice.run_details(r.workspace_id, r.run_id)",
        lambda place, n: (place.workspace, place.ago(n)),
    ),
    Question("runs of a contact", f"{FUNCTION}workflow_runs WHERE workspace_id = $1 AND contact_id = $2", contact),
    Question("audit, newest", page("audit_list", "at DESC, command_id DESC"), whole),
    Question("audit, older", older("audit_list", "at, command_id"), some_time_ago),
    Question("audit of a person", older("audit_list", "at, command_id", " AND actor = 'user-7'"), some_time_ago),
    Question(
        "audit of a person who did nothing", older("audit_list", "at, command_id", " AND actor = 'eve'"), some_time_ago
    ),
    Question("audit of a command", older("audit_list", "at, command_id", " AND command = 'add_tag'"), some_time_ago),
    Question(
        "audit of a rare command", older("audit_list", "at, command_id", " AND command = 'comment'"), some_time_ago
    ),
    Question(
        "adjustments of a cycle",
        page("mac_adjustments", "adjustment_id DESC", " AND cycle_start = $2"),
        lambda place, _n: (place.workspace, place.cycle()),
    ),
    Question("inbox: counts", f"{FUNCTION}inbox_counts WHERE workspace_id = $1", whole),
    Question(
        "active by day",
        f"{FUNCTION}mac_days WHERE workspace_id = $1 AND cycle_start = $2 ORDER BY day",
        lambda place, _n: (place.workspace, place.cycle()),
    ),
    Question("counts", page("mac_counts", "cycle_start DESC"), whole),
    Question(
        "counted, newest",
        f"{FUNCTION}counted_page($1, $2, NULL, NULL, 50)",
        lambda place, _n: (place.workspace, place.cycle()),
    ),
    Question(
        "counted, or not",
        f"{FUNCTION}mac_contacts WHERE workspace_id = $1 AND cycle_start = $2 AND contact_id = $3",
        lambda place, n: (place.workspace, place.cycle(), place.contact(n)),
    ),
    Question(
        "counted, explained",
        f"{FUNCTION}explain_mac($1, $2, $3)",
        lambda place, n: (place.workspace, place.cycle(), place.contact(n)),
    ),
    Question("impact of a block", f"{FUNCTION}impact($1, $2)", command("block_contact", contact_id=Place.contact)),
    Question(
        "impact of a block in the past",
        f"{FUNCTION}impact($1, $2)",
        command("block_contact", contact_id=lambda p, _n: made(p.prefix, 0), issued_at=lambda p, _n: p.now - MONTH),
    ),
    Question(
        "impact of a merge",
        f"{FUNCTION}impact($1, $2)",
        command("merge_contacts", survivor_id=Place.contact, loser_id=lambda p, n: p.contact(n + 1)),
    ),
    Question(
        "impact of a deletion",
        f"{FUNCTION}impact($1, $2)",
        command("delete_contacts", contact_ids=lambda p, n: [p.contact(m) for m in range(n, n + 3)]),
    ),
    Question(
        "impact of a deletion of all", f"{FUNCTION}impact($1, $2)", command("delete_contacts", all=lambda *_: True)
    ),
    Question(
        "impact of a protected company",
        f"{FUNCTION}impact($1, $2)",
        command("protect_company", company_id=lambda _p, n: f"co-{n % 49 + 1}"),
    ),
    Question(
        "impact of a protected status",
        f"{FUNCTION}impact($1, $2)",
        command("define_status", name=lambda *_: "lead", protected=lambda *_: True),
    ),
    Question("settings", f"{FUNCTION}workspace_settings WHERE workspace_id = $1", whole),
    Question("deletions", page("deletions", "requested_at DESC, deletion_id DESC"), whole),
    Question("deletions, older", older("deletions", "requested_at, deletion_id"), some_time_ago),
    Question("dead letters, newest", f"{FUNCTION}dead_letter_list ORDER BY id DESC LIMIT 50", lambda _p, _n: ()),
    Question(
        "dead letters of a status",
        f"{FUNCTION}dead_letter_list WHERE status = 'dismissed' AND id < $1 ORDER BY id DESC LIMIT 50",
        lambda _p, n: (5_000 - n,),
    ),
    Question(
        "dead letters of a topic",
        f"{FUNCTION}dead_letter_list WHERE source_topic = 'messages.outbound' AND id < $1 ORDER BY id DESC LIMIT 50",
        lambda _p, n: (5_000 - n,),
    ),
)
