"""The first line, all that a lock screen shows: the place, then the trouble. Pure."""

from __future__ import annotations

from netwatch.wording._told import SELF, SHARED, Told

__all__ = ["LONGEST_TITLE", "cut", "title"]

LONGEST_TITLE = 60  # what a lock screen shows
SHORTEST_NAME = 6
ICONS = {"critical": "🔴", "warning": "🟠", "info": "🟠", "recovered": "🟢", "gone": "⚪", "self": "🟣", "digest": "🔵"}
FLAPS = {"site": "site", "site_power": "site", "line": "target", "line_backup": "target", "device": "target", "uplink": "uplink"}
SAME_TITLE = {"power": "rule", "quality": "rule"}
GONE = frozenset({"removed", "merged"})


def title(told: Told) -> str:
    """Long names give way first, the end of the sentence last."""
    key = _key(told)
    names = {"site": told.site(), "target": told.target(), "what": _what(told), "place": _place(told)}
    dark = told.figure("dark")
    fixed = {
        "icon": _icon(told, key),
        "clock": told.clock(told.incident.opened),
        "age": told.age(),
        "reason": told.reason() or told.text("failed"),
        "check": told.check_name(),
        "count": told.count(),
        "times": told.spells() if key.startswith("flapping") else told.times(),
        "dark": dark,
        "battery": max(0, told.count() - dark),
        "names": told.fact("names", 40),
        "day": told.fact("day", 10),
    }
    for name in ("place", "target", "site", "what"):
        excess = len(told.text(key, **fixed, **names)) - LONGEST_TITLE
        if excess <= 0:
            break
        names[name] = cut(names[name], max(SHORTEST_NAME, len(names[name]) - excess))
    return cut(" ".join(told.text(key, **fixed, **names).split()), LONGEST_TITLE)


def _what(told: Told) -> str:
    """Of several sites without the threshold, which stands below."""
    metric = told.fact("metric", 60)
    short = f"state.bad_{metric}"
    if told.incident.cause.type in SHARED and told.words.has(short):
        return told.words.text(short, value=told.quantity("value", metric), instance=told.fact("instance", 40))
    return told.what() if metric else ""


def _place(told: Told) -> str:
    return told.place() if told.incident.cause.type in SHARED else ""


def _key(told: Told) -> str:
    shape, reason = told.shape(), told.incident.close_reason
    is_shared = told.incident.cause.type in SHARED
    if told.over() and reason in GONE:
        return f"{reason}_shared" if is_shared else f"{reason}_site" if shape in {"site", "site_power"} else reason
    if told.over():
        same = {**SAME_TITLE, "power": "power"} if told.fact("metric") == "ups_on_battery" else SAME_TITLE
        return f"recover_{same.get(shape, shape)}"
    if told.incident.flapping:
        flaps = "shared" if is_shared else FLAPS.get(shape, "")
        if flaps:
            return f"flapping_{flaps}"
    if told.again() and told.has(f"again_{shape}"):
        return f"again_{shape}"
    if shape == "feeder":
        dark = told.figure("dark")
        return "open_feeder" if not dark else "open_feeder_dark" if dark >= told.count() else "open_feeder_partly"
    return f"open_{SAME_TITLE.get(shape, shape)}"


def _icon(told: Told, key: str) -> str:
    incident = told.incident
    if told.shape() == "digest":
        return ICONS["digest"]
    if told.over():
        return ICONS["gone" if incident.close_reason in GONE else "recovered"]
    if incident.cause.type in SELF:
        return ICONS["self"]
    return ICONS["warning"] if key.startswith("flapping") else ICONS.get(incident.severity, ICONS["critical"])


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
