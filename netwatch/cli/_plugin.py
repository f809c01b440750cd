"""What a monitoring plugin says: one line, performance data, an exit code (Monitoring Plugins Development Guidelines)."""

from __future__ import annotations

import datetime as dt
import math

from netwatch.cli import _output
from netwatch.cli._daemon import Document
from netwatch.cli._lookup import Found
from netwatch.cli._output import Exit
from netwatch.lang import fold, writing

__all__ = [
    "PLUGIN_WORDS",
    "exit_code",
    "moment_of",
    "perfdata",
    "plugin_line",
    "plugin_safe",
    "province_code",
    "say",
    "say_unknown",
    "seconds_of",
]

CODES = {"ok": 0, "maintenance": 0, "warn": 1, "crit": 2, "unknown": 3, "unreachable": 3}
PLUGIN_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
MOST_PERFDATA = 20


def exit_code(state: str) -> int:
    return CODES.get(state, Exit.UNKNOWN)


def province_code(summary: Document) -> int:
    """The worst of all sites and hubs: critical, then warning, then unknown."""
    codes = {exit_code(site["state"]) for site in summary["sites"]}
    return next((code for code in (2, 1, 3, 0) if code in codes), Exit.UNKNOWN)


def say(line: str) -> None:
    print(line if _output.unicode_ok() else fold(line).encode("ascii", "replace").decode())


def moment_of(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def seconds_of(text: str) -> float:
    return moment_of(text).timestamp()


def say_unknown(why: str) -> None:
    say(f"{PLUGIN_WORDS[Exit.UNKNOWN]} - {plugin_safe(why)}")


def plugin_line(found: Found) -> str:
    """`CRITICAL - Nà Tấu/vc: không phản hồi, 4 phút`, as the monitoring plugins' guidelines want it: one line, no bar."""
    subject = found.subject
    lasted = ""
    if subject["since"] and subject["state"] != "ok":
        lasted = writing.age(seconds_of(found.site["wall"]) - seconds_of(subject["since"]), _output.words())
    said = ", ".join(part for part in (subject["text"] or _output.text(f"state.{subject['state']}"), lasted) if part)
    return plugin_safe(f"{PLUGIN_WORDS[exit_code(subject['state'])]} - {found.name}: {said}")


def perfdata(found: Found) -> str:
    """What was measured, in the plugins' form: milliseconds, per cent, or plain numbers; U where nothing came."""
    if found.target is None:
        return " ".join((_milliseconds("rtt", found.site["rtt_seconds"]), _per_cent("loss", found.site["loss_ratio"])))
    checks = [found.check] if found.check else found.target["checks"]
    listed = [_perf(sample) for check in checks for sample in check["samples"]]
    return " ".join(dict.fromkeys(listed[:MOST_PERFDATA]))


def _perf(sample: Document) -> str:
    known = {"icmp_rtt_seconds": "rtt", "icmp_loss_ratio": "loss", "icmp_jitter_seconds": "jitter"}
    metric: str = sample["name"]
    name = known.get(metric, metric) + (f"_{sample['instance']}" if sample["instance"] else "")
    values = sorted(value for value in sample["values"] if value is not None)
    value = values[len(values) // 2] if values else None
    if metric.endswith("_seconds") and "time" not in metric:
        return _milliseconds(name, value)
    if metric.endswith("_ratio"):
        return _per_cent(name, value)
    return f"{_label(name)}={_plain(value)}"


def _milliseconds(name: str, seconds: float | None) -> str:
    return f"{_label(name)}=U" if seconds is None else f"{_label(name)}={_plain(seconds * 1000)}ms;;;0"


def _per_cent(name: str, ratio: float | None) -> str:
    return f"{_label(name)}=U" if ratio is None else f"{_label(name)}={_plain(ratio * 100)}%;;;0;100"


def _plain(value: float | None) -> str:
    """Digits and a dot only: the guidelines know no exponent."""
    if value is None or not math.isfinite(value):
        return "U"
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _label(name: str) -> str:
    """Quoted where it must be; a quote or an equals sign may not stand in it at all."""
    safe = fold(name).replace("'", "").replace("=", "").replace("|", "")
    return f"'{safe}'" if " " in safe else safe


def plugin_safe(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
