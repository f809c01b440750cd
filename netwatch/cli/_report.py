"""Prints what the daemon says of a province, a site or a check."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence

from netwatch.cli import _output
from netwatch.cli._daemon import Daemon, Document
from netwatch.cli._lookup import Found, find
from netwatch.cli._plugin import PLUGIN_WORDS, exit_code, moment_of, perfdata, plugin_line, plugin_safe, province_code, say, seconds_of
from netwatch.lang import writing

__all__ = [
    "clock",
    "icon",
    "mark",
    "measure_now",
    "print_check",
    "print_province",
    "print_site",
    "problem_rows",
    "say_pairs",
    "say_rows",
    "since_text",
    "urgent_first",
    "without_first_beliefs",
]

WORST_FIRST = ("crit", "warn", "unknown", "unreachable", "maintenance", "ok")
RECHECKING = "rechecking"
ICONS = {"ok": "✓", "warn": "▲", "crit": "✕", "unknown": "?", "unreachable": "⊘", "maintenance": "⚒", RECHECKING: "↻"}
ASCII_ICONS = {"ok": "+", "warn": "!", "crit": "X", "unknown": "?", "unreachable": "-", "maintenance": "M", RECHECKING: "~"}
COLORS = {"ok": "32", "warn": "33", "crit": "1;31", "unknown": "35", "unreachable": "2", "maintenance": "34", RECHECKING: "36"}
NOW_SECONDS = 15.0
NOW_LOOK_SECONDS = 0.25
MOST_EVENTS = 10
TELLING = ("_seconds", "_ratio", "_clients", "_battery")
LINES = ("proved", "below_contract", "refuted", "inconclusive", "stale")
PATH = ("line", "router", "switch")


def print_province(summary: Document, shape: str, *, every: bool) -> None:
    if shape == "json":
        _output.print_json(summary)
        return
    if shape == "nagios":
        counts = " ".join(f"{state}={count};;;0" for state, count in summary["counts"].items())
        say(f"{PLUGIN_WORDS[province_code(summary)]} - {plugin_safe(summary['text'])} | {counts}")
        return
    now = summary["wall"]
    say(f"{summary['text']}  ({_output.text('cli.moment', moment=_stamp(now))})")
    if summary.get("isolated"):
        say(_output.text("acts.isolated"))
    _say_own_troubles(summary["self"])
    rows = problem_rows(summary, every=every)
    say("")
    say_rows(rows) if rows else say(_output.text("cli.no_problems"))
    quiet = 0 if every else sum(one["severity"] == "info" for one in summary["incidents"])
    if quiet:
        say(_output.text("cli.quiet", count=quiet))
    for one in summary.get("windows", ()):
        if one["state"] == "active":
            said = _output.text(f"acts.shown_{one['kind']}", what=one["matcher"], ends=clock(one["ends"], now))
            say(" · ".join(part for part in (said, one["who"], one["note"]) if part))
    _say_lines(summary.get("lines"))
    hubs = [f"{icon(mark(one))} {one['name']}" for one in summary["sites"] if one["kind"] == "hub"]
    if hubs:
        say("")
        say(_output.text("cli.hubs", hubs=" · ".join(hubs)))


def _standings(found: Sequence[Document]) -> list[tuple[str, str]]:
    """One of a line nobody has ever tested, in either direction."""
    told = [(writing.bits_per_second(one["contract_bits_per_second"], _output.words()), one) for one in found]
    if found and all(one["at"] is None for one in found):
        return [("cli.standing", f"{' / '.join(dict.fromkeys(contract for contract, _ in told))} · {found[0]['text']}")]
    return [(f"cli.standing_{one['direction']}", f"{contract} · {one['text']}") for contract, one in told]


def _say_lines(lines: Document | None) -> None:
    """How lines stand against their contracts, once any was ever looked at."""
    if lines is not None:
        named = {"below_contract": f" ({', '.join(lines['below'])})"}
        told = [_output.text(f"cli.lines_{name}", count=lines[name]) + named.get(name, "") for name in LINES if lines[name]]
        say("")
        say(_output.text("cli.lines", told=" · ".join(told)))


def problem_rows(summary: Document, *, every: bool) -> list[Sequence[str]]:
    """What, since when, and who has it; urgent and worst first. Without `every`, nothing that waits for the morning."""
    now = summary["wall"]
    loud = [one for one in summary["incidents"] if every or one["severity"] != "info"]
    rows = [_incident_row(one, now) for one in sorted(loud, key=urgent_first)]
    spoken_of = {slug for one in summary["incidents"] for slug in one["sites"]}
    silent = [one for one in summary["sites"] if mark(one) not in {"ok", "maintenance"} and one["id"] not in spoken_of]
    return rows + [_row(mark(one), one["name"], one["text"], one["since"], now) for one in sorted(silent, key=_worst_first)]


def print_site(found: Found, shape: str) -> None:
    """Like `systemctl status`: state, since, path, devices, last events."""
    site, now = found.site, found.site["wall"]
    if shape == "json" and found.target is None:
        _output.print_json(site)
        return
    if shape != "table" or found.target is not None:
        print_check(found, shape)
        return
    code = f" ({site['code']})" if site["code"] else ""
    say(f"{icon(mark(site))} {site['id']} - {site['full_name'] or site['name']}{code}")
    facts = [("cli.active", " · ".join(part for part in (_state_text(site), since_text(site["since"], now)) if part))]
    facts.append(("cli.office", site["office"]))
    contact = site["contact"] or {"name": "", "phone": ""}
    facts.append(("cli.contact", " ".join(part for part in (contact["name"], contact["phone"]) if part)))
    for target in site["targets"]:
        line = target["line"]
        if line:
            parts = (target["name"], line["carrier"], line["circuit"], line["hotline"])
            facts.append(("cli.line", " · ".join(part for part in parts if part)))
            facts += _standings(line["standings"])
    facts.append(("cli.path", _path(site["targets"])))
    say_pairs((_output.text(key), value) for key, value in facts if value)
    say(f"\n{_output.text('cli.devices')}:")
    say_rows([_target_row(one, now) for one in sorted(site["targets"], key=_worst_first)], "  ")
    happened = without_first_beliefs(site["transitions"])[:MOST_EVENTS]
    if happened:
        say(f"\n{_output.text('cli.events')}:")
        for one in happened:
            say(f"  {clock(one['wall'], now)}  {one['text']}")


def print_check(found: Found, shape: str) -> None:
    if shape == "nagios":
        measured = perfdata(found)
        say(plugin_line(found) + (f" | {measured}" if measured else ""))
        return
    if shape == "json":
        subject = found.subject
        _output.print_json(
            {
                "schema": "netwatch/v1/check",
                "name": found.name,
                "state": subject["state"],
                "rechecking": subject["rechecking"],
                "exit_code": exit_code(subject["state"]),
                "since": subject["since"],
                "text": subject["text"],
                "subject": subject,
            }
        )
        return
    say(f"{icon(mark(found.subject))} {plugin_line(found)}")
    checks = [found.check] if found.check else found.target["checks"] if found.target else []
    say_pairs((sample["title"], sample["text"]) for check in checks for sample in check["samples"])
    if found.target is None:
        say_rows([_target_row(one, found.site["wall"]) for one in sorted(found.site["targets"], key=_worst_first)], "  ")


def measure_now(daemon: Daemon, found: Found, path: str) -> Found:
    """Asks for a fresh run of the checks in question and waits for their results."""
    if found.check:
        wanted = [found.check["path"]]
    else:
        targets = [found.target] if found.target else [one for one in found.site["targets"] if one["kind"] == "line"]
        wanted = [check["id"] for target in targets for check in target["checks"]]
    asked_at = seconds_of(found.site["wall"])
    waiting = {check for check in wanted if daemon.run_check(check)}
    ends = time.monotonic() + NOW_SECONDS
    while waiting and time.monotonic() < ends:
        time.sleep(NOW_LOOK_SECONDS)
        found = find(daemon, path)
        for target in found.site["targets"]:
            waiting -= {check["id"] for check in target["checks"] if check["last"] and seconds_of(check["last"]) >= asked_at}
    for check in sorted(waiting):
        print(_output.text("cli.no_answer_yet", check=check, seconds=int(NOW_SECONDS)), file=sys.stderr)
    return found


def _incident_row(one: Document, now: str) -> Sequence[str]:
    state = "crit" if one["severity"] == "critical" else "warn"
    owner = one["acknowledgement"]
    extra = [_output.text("page.hidden", count=one["hidden"])] if one["hidden"] else []
    extra += [_output.text("page.owner", owner=owner["who"])] if owner else []
    extra += [_output.text("acts.eta", at=clock(owner["until"], now))] if owner and owner["until"] else []
    return (f"{icon(state)} {one['title']}", since_text(one["opened"], now), " · ".join(extra))


def _row(state: str, name: str, text: str, since: str | None, now: str) -> Sequence[str]:
    return (f"{icon(state)} {name}: {text or _output.text(f'state.{state}')}", since_text(since, now), "")


def _target_row(one: Document, now: str) -> Sequence[str]:
    said = one["text"] or _output.text(f"state.{mark(one)}")
    telling = [sample for check in one["checks"] for sample in check["samples"] if sample["name"].endswith(TELLING)]
    key_values = [f"{sample['title']} {sample['text']}" for sample in telling]
    facts = " · ".join(key_values[:2]) if mark(one) in {"ok", "warn"} else since_text(one["since"], now)
    return (f"{icon(mark(one))} {one['name']}", one["address"], said, facts)


def _path(targets: Sequence[Document]) -> str:
    """From netwatch: lines side by side, router, switch; each with its state."""
    stages = [[f"{one['name']} {icon(mark(one))}" for one in targets if wanted in {one["kind"], one["role"]}] for wanted in PATH]
    return " → ".join(["netwatch", *(" | ".join(stage) for stage in stages if stage)])


def _state_text(site: Document) -> str:
    state = _output.text(f"state.{mark(site)}")
    if mark(site) == RECHECKING and site["text"]:
        return str(site["text"])  # which says so
    return f"{state}: {site['text']}" if site["text"] and site["text"] != state else state


def _say_own_troubles(own: Document) -> None:
    if not own["inventory_ok"]:
        say(_output.text("cli.inventory_bad", error=(own["inventory_errors"] or [""])[0]))
    if not own["database_ok"]:
        say(_output.text("cli.database_bad"))


def urgent_first(incident: Document) -> tuple[bool, int, float]:
    severity = ("critical", "warning", "info").index(incident["severity"])
    return (incident["acknowledgement"] is not None, severity, -seconds_of(incident["opened"]))


def _worst_first(one: Document) -> tuple[int, bool]:
    """The rest in the order of the inventory."""
    return WORST_FIRST.index(one["state"]), not one["rechecking"]


def clock(text: str, now: str) -> str:
    """By the daemon's own zone, which its times carry."""
    return writing.clock(seconds_of(text), seconds_of(now), _output.words(), moment_of(now).tzinfo or writing.VIETNAM)


def _stamp(text: str) -> str:
    return writing.stamp(seconds_of(text), _output.words(), moment_of(text).tzinfo or writing.VIETNAM)


def since_text(since: str | None, now: str) -> str:
    if not since:
        return ""
    return _output.text("cli.since", since=clock(since, now), lasted=writing.age(seconds_of(now) - seconds_of(since), _output.words()))


def mark(one: Document) -> str:
    """Which icon and word a site, target or check goes by: its state, or `rechecking` where that may no longer be so."""
    return RECHECKING if one["rechecking"] and one["state"] in {"ok", "unknown"} else str(one["state"])


def without_first_beliefs(newest_first: Sequence[Document], doubted: set[tuple[str, str, str]] | None = None) -> list[Document]:
    """Less what only says that something new was found well: after a start that is one for every check and rule.

    `doubted` remembers from portion to portion what was not well before.
    """
    told = []
    doubted = set() if doubted is None else doubted
    for one in reversed(newest_first):
        subject = (one["check"], one["rule"], one["instance"])
        if one["new"] != "ok":
            doubted.add(subject)
        if one["old"] != "unknown" or one["new"] != "ok" or subject in doubted:
            told.append(one)
    return told[::-1]


def icon(state: str) -> str:
    mark = (ICONS if _output.unicode_ok() else ASCII_ICONS).get(state, "?")
    return f"\x1b[{COLORS[state]}m{mark}\x1b[0m" if _output.wants_color() and state in COLORS else mark


def say_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    listed = list(pairs)
    widest = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        say(f"  {name:>{widest}}: {value}")


def say_rows(rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Columns as wide as their widest cell; colour codes take no room."""
    widths = [max((_width(cell) for cell in column), default=0) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        say((indent + "  ".join(cells)).rstrip())


def _width(cell: str) -> int:
    if "\x1b" not in cell:
        return len(cell)
    return sum(len(part.partition("m")[2]) for part in ("m" + cell).split("\x1b["))
