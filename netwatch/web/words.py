"""What the page and the API say of a state, a reason, a value or an incident, in the reader's language. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from netwatch.lang import Catalog, writing
from netwatch.model import Belief, Incident, Outcome, Sample, State
from netwatch.snapshot import CheckView, RuleView, SiteView, Snapshot, TargetView
from netwatch.wording import SHARED, headline

__all__ = [
    "RECHECKING",
    "WORST_FIRST",
    "bad_value_text",
    "check_text",
    "incident_text",
    "mark",
    "mark_text",
    "office_text",
    "part_name",
    "quantity",
    "reason_text",
    "rule_text",
    "sample_name",
    "sample_text",
    "sentence",
    "site_text",
    "state_text",
    "target_name",
    "target_text",
    "troubled_targets",
    "weight",
    "weight_of_role",
    "worst_first",
]

RECHECKING = "rechecking"
WORST_FIRST = (State.CRIT, State.WARN, State.UNKNOWN, State.UNREACHABLE, State.MAINTENANCE, State.OK)
YES_OR_NO = ("_up", "_empty", "_on_battery", "_error", "_faulty", "_overload", "_battery_low", "_battery_replace", "_ok")
LONG_TIMES = ("uptime", "runtime", "remaining", "age", "validity", "expiry", "lifetime")


def worst_first(state: State) -> int:
    return WORST_FIRST.index(state)


def weight(target: TargetView) -> tuple[int, bool, int]:
    """For sorting: the worse before the better, and of two as bad the one that more depends on."""
    return (worst_first(target.state), mark(target) != RECHECKING, weight_of_role(target))


def weight_of_role(target: TargetView) -> int:
    ranks = ("primary", "backup", "router", "switch", "ups", "conference", "wifi-ap")
    return ranks.index(target.role) if target.role in ranks else len(ranks)


def office_text(office: str) -> str:
    """Where the office is, without a heading of its own: the page has one."""
    return writing.clean(office, 120).removeprefix("Trụ sở:").strip()


def state_text(state: State, words: Catalog) -> str:
    return words.text(f"state.{state.value}")


def mark(view: CheckView | TargetView | SiteView) -> str:
    """Which icon and word a view goes by: its state, or `rechecking` where that is not known to be so any more."""
    return RECHECKING if view.rechecking and view.state in {State.OK, State.UNKNOWN} else view.state.value


def mark_text(view: CheckView | TargetView | SiteView, words: Catalog) -> str:
    return words.text(f"state.{mark(view)}")


def sentence(snapshot: Snapshot, words: Catalog) -> str:
    """The one line that comes before everything: `42/45 điểm bình thường · 2 sự cố · 1 cảnh báo`."""
    counts = snapshot.counts()
    parts = [words.text("state.sentence", ok=counts[State.OK], total=sum(counts.values()))]
    parts += [words.text(f"state.count_{state.value}", count=counts[state]) for state in WORST_FIRST[:-1] if counts[state]]
    if rechecking := snapshot.rechecking():
        parts.append(words.text("state.count_rechecking", count=rechecking))
    return " · ".join(parts)


def target_name(target: TargetView, words: Catalog) -> str:
    """What people call a line or device: its label, or its role in words."""
    if target.label:
        return writing.clean(target.label, 60)
    key = f"state.line_{target.role}" if target.kind == "line" else f"state.role_{target.role}"
    return words.text(key) if words.has(key) else target.id


def reason_text(code: str, detail: str, words: Catalog) -> str:
    """Why a check failed: our words for a code we know, the probe's own otherwise."""
    key = f"state.code_{code}"
    if code and words.has(key):
        return words.text(key, detail=writing.clean(detail))
    return writing.clean(detail) or code


def quantity(metric: str, value: float, words: Catalog) -> str:
    """A value with its unit, which the metric's name ends in."""
    name = metric.removesuffix("_total")
    if value in {0.0, 1.0} and name.endswith(YES_OR_NO):
        return words.text("state.yes" if value else "state.no")
    if name.endswith("_seconds"):
        if value >= 90 or any(word in name for word in LONG_TIMES):
            return writing.age(value, words)
        if value <= -90:  # a certificate that has ended
            return f"-{writing.age(-value, words)}"
        return writing.seconds(value, words)
    if name.endswith("_ratio"):
        return writing.percent(value, words)
    if name.endswith("_bytes_per_second"):
        return writing.bits_per_second(value * 8, words)
    if name.endswith("_bits_per_second"):
        return writing.bits_per_second(value, words)
    if name.endswith("_bytes"):
        return f"{writing.number(value / 1e6, 1, words)} MB"
    for ending, unit in (("_celsius", "°C"), ("_volts", "V"), ("_watts", "W"), ("_amperes", "A"), ("_dbm", "dBm"), ("_joules", "J")):
        if name.endswith(ending):
            return f"{writing.number(value, 1, words)} {unit}"
    return writing.number(value, 0 if float(value).is_integer() else 2, words)


def rule_text(rule: RuleView, samples: Iterable[Sample], words: Catalog) -> str:
    """What is wrong by one rule: `mất gói 12%`, `hộp mực đen còn 8%`."""
    metric = rule.metric or _metric_of(rule, samples)
    return bad_value_text(metric, rule.subject.rule, rule.subject.instance, rule.value, words) or writing.clean(rule.detail)


def bad_value_text(metric: str, rule: str, instance: str, value: float | None, words: Catalog) -> str:
    """A value that crossed a threshold, in words; the metric's plain name where we have none of our own for it."""
    shown = "–" if value is None else quantity(metric, value, words)
    for key in (f"state.bad_{metric}_{instance}", f"state.bad_{metric}"):
        if words.has(key):
            return " ".join(words.text(key, value=shown, instance=writing.clean(instance, 40)).split())
    return f"{sample_name(Sample(metric or rule, (), instance), words)}: {shown}"


def _metric_of(rule: RuleView, samples: Iterable[Sample]) -> str:
    """The metric whose last value on that instance is the rule's; empty when it has moved on since."""
    fitting = (one.name for one in samples if one.instance == rule.subject.instance and rule.value in one.values[-1:])
    return next(fitting, "")


def check_text(check: CheckView, words: Catalog, *, marked: bool = False) -> str:
    """What a check says now; empty when it is well. `marked`: the word for its mark stands beside it already."""
    if mark(check) == RECHECKING:
        return _recheck_text(check, words, "state.not_confirmed" if marked else "state.rechecking_why")
    if check.state is State.OK:
        return ""
    if check.state is State.UNREACHABLE:
        return words.text("state.hidden")
    said = reason_text(check.code, check.detail, words) if check.outcome is not Outcome.OK else ""
    return _with_doubt(said or state_text(check.state, words), check, words)


def _recheck_text(check: CheckView, words: Catalog, key: str) -> str:
    """`đang kiểm tra lại (mất gói 100%)`."""
    loss = next((one.values[-1] for one in check.samples if one.name == "icmp_loss_ratio" and one.values), None)
    why = bad_value_text("icmp_loss_ratio", "", "", loss, words) if loss else reason_text(check.code, check.detail, words)
    return words.text(key, why=why) if why else words.text("state.soft")


def _with_doubt(said: str, check: CheckView, words: Catalog) -> str:
    """What is said of a failure that may not last, or not be its own."""
    if not check.rechecking:
        return said
    return f"{said}, {words.text('state.waits' if not check.confirmed else 'state.answers_again')}"


def target_text(target: TargetView, words: Catalog, *, marked: bool = False) -> str:
    """What is wrong with a line or device, in a few words; empty when it is well. `marked` as for a check."""
    doubted = next((check for check in target.checks if check.rechecking), None)
    if mark(target) == RECHECKING and doubted is not None:
        said = check_text(doubted, words, marked=marked)
        return said if doubted is target.checks[0] else f"{doubted.name}: {said}"
    if target.state in {State.OK, State.MAINTENANCE}:
        return "" if target.state is State.OK else state_text(target.state, words)
    if target.state is State.UNREACHABLE:
        return words.text("state.hidden") if target.confirmed else f"{words.text('state.hidden_before')}, {words.text('state.soft')}"
    if target.up is False:
        said = words.text("state.line_down" if target.kind == "line" else "state.device_down")
        return _with_doubt(said, target.checks[0], words) if target.checks else said
    for rule in sorted(target.problems, key=lambda one: one.belief is not Belief.CRIT):
        samples = next((check.samples for check in target.checks if check.id == rule.subject.check), ())
        return rule_text(rule, samples, words)
    for check in sorted(target.checks, key=lambda one: worst_first(one.state)):
        if check.state is not State.OK:
            return f"{check.name}: {check_text(check, words)}"
    return writing.clean(target.detail) or state_text(target.state, words)


def site_text(view: SiteView, words: Catalog, *, marked: bool = False) -> str:
    """What is wrong with a site, in a few words; empty when it is well. `marked` as for a check."""
    if mark(view) == RECHECKING:
        doubted = min((one for one in view.targets if one.rechecking), key=weight_of_role, default=None)
        return f"{target_name(doubted, words)}: {target_text(doubted, words, marked=marked)}" if doubted else words.text("state.soft")
    if view.state in {State.OK, State.MAINTENANCE}:
        return "" if view.state is State.OK else state_text(view.state, words)
    if view.up is False and view.state is State.CRIT:
        return words.text("state.site_down")
    if view.state is State.UNREACHABLE:
        return words.text("state.hidden")
    troubled = troubled_targets(view)
    if view.state is State.UNKNOWN or not troubled:
        return reason_text(view.detail, view.detail, words) or words.text("state.no_news")
    worst = min(troubled, key=weight)
    more = f" (+{len(troubled) - 1})" if len(troubled) > 1 else ""
    return f"{target_name(worst, words)}: {target_text(worst, words)}{more}"


def troubled_targets(view: SiteView) -> list[TargetView]:
    """What may be named as a site's trouble: neither what is not sure nor what only cannot be reached."""
    return [one for one in view.targets if one.confirmed and one.state not in {State.OK, State.MAINTENANCE, State.UNREACHABLE}]


def incident_text(incident: Incident, sites: Mapping[str, SiteView], words: Catalog) -> str:
    """Where and what: `Nà Tấu: mất kết nối (cả điểm)`. From what was frozen with it: it may outlive its site."""
    kind, facts = incident.cause.type, incident.facts
    if kind in SHARED:
        return headline(incident, words)
    if kind in {"uplink", "netwatch"}:
        key = f"state.incident_{kind}_{incident.cause.name}"
        return words.text(key if words.has(key) else f"state.incident_{kind}")
    where = ", ".join(_site_name(slug, sites, facts) for slug in incident.sites[:3])
    if len(incident.sites) > 3:
        where = words.text("state.sites", count=len(incident.sites))
    if kind == "site":
        return f"{where}: {words.text('state.site_down')}"
    return ": ".join(part for part in (where, _incident_target(facts, words), _incident_what(incident, words)) if part)


def _site_name(slug: str, sites: Mapping[str, SiteView], facts: Mapping[str, str]) -> str:
    return sites[slug].site.name if slug in sites else writing.clean(facts.get("site_name", ""), 60) or slug


def _incident_target(facts: Mapping[str, str], words: Catalog) -> str:
    label = facts.get("target_label", "")
    if facts.get("target_role"):
        key = f"state.role_{facts['target_role']}"
        return words.text(key) if words.has(key) and label in {"", facts.get("target")} else writing.clean(label, 60)
    return writing.clean(facts.get("line_label", ""), 60) or facts.get("target", "")


def _incident_what(incident: Incident, words: Catalog) -> str:
    facts = incident.facts
    if facts.get("rule"):
        try:
            value = float(facts.get("value", ""))
        except ValueError:
            value = None
        return bad_value_text(facts.get("metric", ""), facts["rule"], facts.get("instance", ""), value, words)
    if incident.cause.type == "line":
        return words.text("state.line_down")
    if incident.cause.type == "device":
        return words.text("state.device_down")
    check = incident.cause.name.rpartition("/")[2]
    return f"{check}: {reason_text(facts.get('code_word', ''), facts.get('detail', ''), words)}"


def sample_name(sample: Sample, words: Catalog) -> str:
    """What people call a measured quantity, with the port, tray or supply it is of."""
    key = f"state.sample_{sample.name}"
    plain = words.text(key) if words.has(key) else re.sub(r"_(seconds|ratio|total|bytes)$", "", sample.name).replace("_", " ")
    instance = part_name(sample.instance, words)
    return f"{plain} · {instance}" if instance else plain


def part_name(instance: str, words: Catalog) -> str:
    """The port, tray or supply as the device calls it; what only a standard names, in our words."""
    key = f"state.part_{instance}"
    return words.text(key) if words.has(key) else writing.clean(instance, 60)


def sample_text(sample: Sample, words: Catalog) -> str:
    """The value; of a train of several the median."""
    if not sample.values:
        return "–"
    ordered = sorted(sample.values)
    return quantity(sample.name, ordered[len(ordered) // 2], words)
