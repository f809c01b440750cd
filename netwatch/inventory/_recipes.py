"""A profile's checks, judged once and made many times: the recipe of a check, without its address."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

import probes
from netwatch.inventory._collect import Collector
from netwatch.inventory._profiles import Draft, Profile
from netwatch.inventory._schema import CheckEntry, RuleEntry, Thresholds
from netwatch.inventory._snmp import SnmpSettings
from netwatch.inventory._units import WrongUnit, duration
from netwatch.model import Audience, Rule, Secret
from probes import Probe

__all__ = ["Recipe", "Recipes"]

_COMMON = frozenset(CheckEntry.model_fields)


@dataclass(frozen=True, slots=True)
class _Timing:
    interval: float
    timeout: float
    retry: float
    hard_after: float


_TIMING = {
    "icmp": _Timing(10.0, 3.0, 2.0, 9.0),
    "snmp": _Timing(60.0, 10.0, 10.0, 0.0),
    "tcp": _Timing(60.0, 5.0, 10.0, 0.0),
    "sip": _Timing(60.0, 8.0, 30.0, 0.0),  # phones are not to be asked more often
    "pexip": _Timing(60.0, 15.0, 30.0, 0.0),
    "poly": _Timing(60.0, 15.0, 30.0, 0.0),
    "h323": _Timing(60.0, 8.0, 30.0, 0.0),
}
_ANY_TIMING = _Timing(60.0, 10.0, 10.0, 0.0)
_WRONG = (ValueError, TypeError, LookupError, OSError, re.error)  # what a probe may raise about its own keys


@dataclass(frozen=True, slots=True)
class Recipe:
    """All of a check but its address. `probe()` gives each check an instance, and so a memory, of its own."""

    name: str
    kind: str
    adapter: pydantic.TypeAdapter[Probe]
    options: bytes  # JSON: pydantic is strict about it, but takes a list for a tuple
    interval_seconds: float
    timeout_seconds: float
    retry_seconds: float
    attempts: int
    hard_after_seconds: float
    audience: Audience
    rules: tuple[Rule, ...]
    secrets: Mapping[str, Secret]
    measures: str  # all of it that matters for the fingerprint, as one text

    def probe(self) -> Probe:
        return self.adapter.validate_json(self.options)


class Recipes:
    """Recipes by profile; a profile used by 45 sites is judged once."""

    def __init__(self, intervals: Mapping[str, float], collector: Collector) -> None:
        self._intervals = intervals
        self._collector = collector
        self._made: dict[tuple[int, int], tuple[Profile, SnmpSettings, tuple[Recipe, ...]]] = {}
        self._adapters: dict[str, pydantic.TypeAdapter[Probe] | None] = {}
        self._types: dict[str, type[Probe]] = {}

    def of(self, profile: Profile, snmp: SnmpSettings) -> tuple[Recipe, ...]:
        """The primary check first: icmp, or else the first there is."""
        key = (id(profile), id(snmp))
        if key not in self._made:
            made = [self._recipe(profile, name, draft, snmp) for name, draft in profile.checks.items()]
            recipes = tuple(sorted((recipe for recipe in made if recipe is not None), key=lambda recipe: recipe.name != "icmp"))
            if not profile.checks:
                self._collector.error(profile.where, "no_checks", word=profile.name)
            for name, draft in profile.rules.items():
                if draft.values.get("check") not in profile.checks:
                    self._collector.unknown(draft.where_of("check"), "unknown_check", str(draft.values.get("check", name)), profile.checks)
            self._made[key] = (profile, snmp, recipes)  # the first two are kept so that their ids stay theirs
        return self._made[key][2]

    def _recipe(self, profile: Profile, name: str, draft: Draft, snmp: SnmpSettings) -> Recipe | None:
        entry, sound = self._entry(draft)
        adapter = self._adapter(entry.probe, draft) if entry is not None else None
        if entry is None or adapter is None:
            return None
        options, draft = self._options(entry.probe, draft, snmp, profile)
        secrets: Mapping[str, Secret]
        if entry.probe == "snmp":
            spoken, secrets = snmp.spoken(options, self._collector)
            if spoken is None:
                return None
            options = spoken
        else:
            secrets = self._secrets(entry.probe, options, draft)
        probe = self._try(adapter, options, draft, entry.probe)
        if probe is None or not self._has_all(probe, secrets, draft):
            return None
        timing = self._timing(entry, draft, profile)
        audience: Audience = entry.audience or profile.audience  # type: ignore[assignment]  # the schema let only these pass
        rules = self._rules(profile, name, probe, audience)
        if not sound:
            return None
        self._fits(probe, timing, draft)
        measures = repr((entry.probe, sorted(options.items()), dataclasses.astuple(timing), entry.attempts, rules))
        measures += repr(sorted((key, secret.reveal()) for key, secret in secrets.items()))
        return Recipe(
            name=name,
            kind=entry.probe,
            adapter=adapter,
            options=json.dumps(options).encode(),
            interval_seconds=timing.interval,
            timeout_seconds=timing.timeout,
            retry_seconds=timing.retry,
            attempts=entry.attempts,
            hard_after_seconds=timing.hard_after,
            audience=audience,
            rules=rules,
            secrets=secrets,
            measures=measures,
        )

    def _entry(self, draft: Draft) -> tuple[CheckEntry | None, bool]:
        """The common keys, and whether they are sound; if not, what is left of them serves to find what else is wrong."""
        common = {key: value for key, value in draft.values.items() if key in _COMMON}
        try:
            return CheckEntry.model_validate(common), True
        except pydantic.ValidationError as error:
            self._refuse(error, draft, _COMMON)
        try:
            return CheckEntry(probe=common.get("probe", "")), False
        except pydantic.ValidationError:
            return None, False

    def _adapter(self, kind: str, draft: Draft) -> pydantic.TypeAdapter[Probe] | None:
        if kind not in probes.names():
            self._collector.unknown(draft.where_of("probe"), "unknown_probe", kind, probes.names())
            return None
        if kind not in self._adapters:
            try:
                self._types[kind] = probes.get(kind)
                self._adapters[kind] = pydantic.TypeAdapter(self._types[kind])
            except (ImportError, TypeError, pydantic.errors.PydanticUserError) as error:
                self._adapters[kind] = None
                self._collector.error(draft.where_of("probe"), "probe_broken", word=kind, reason=str(error))
        return self._adapters[kind]

    def _keys(self, kind: str) -> frozenset[str]:
        return frozenset(key.name for key in dataclasses.fields(self._types[kind]) if key.init)

    def _options(self, kind: str, draft: Draft, snmp: SnmpSettings, profile: Profile) -> tuple[dict[str, Any], Draft]:
        """The probe's own keys, and the draft that knows where each was written."""
        keys = self._keys(kind)
        own = Draft({key: value for key, value in draft.values.items() if key not in _COMMON}, draft.origins, draft.where)
        if kind == "snmp":
            own = snmp.draft.under(own)
        options = dict(own.values)
        if "profile" in keys and "profile" not in options and profile.measured_by:
            options["profile"] = profile.measured_by
        for key, value in options.items():
            if key.endswith("_seconds") and isinstance(value, str):
                try:
                    options[key] = duration(value)
                except WrongUnit as wrong:
                    self._collector.error(own.where_of(key), wrong.key, at_key=False, hint="", name="", **wrong.fields)
        return options, own

    def _secrets(self, kind: str, options: dict[str, Any], draft: Draft) -> dict[str, Secret]:
        """Taken out of the probe's own keys."""
        found = {}
        for name in self._types[kind].secret_names:
            if name in options:
                given = options.pop(name)
                if not isinstance(given, str) or not given:
                    self._collector.error(draft.where_of(name), "secret_shape", word=name)
                    given = ""  # the file is refused; there is no second complaint that it is missing
                found[name] = Secret(given)
        return found

    def _has_all(self, probe: Probe, secrets: Mapping[str, Secret], draft: Draft) -> bool:
        missing = [name for name in probe.needs() if name not in secrets]
        for name in missing:
            self._collector.error(draft.where, "secret_missing", name=name, word=name)
        return not missing

    def _try(self, adapter: pydantic.TypeAdapter[Probe], options: Mapping[str, Any], draft: Draft, kind: str) -> Probe | None:
        """Makes one probe to see whether its keys are right."""
        try:
            return adapter.validate_json(json.dumps(options))
        except pydantic.ValidationError as error:
            self._refuse(error, draft, self._keys(kind))
        except _WRONG as error:
            self._collector.error(draft.where, "other", reason=str(error))
        return None

    def _refuse(self, error: pydantic.ValidationError, draft: Draft, names: frozenset[str]) -> None:
        """Each error at the place where its key was written, be that here or in what lies beneath."""
        self._collector.validation(error, draft.where, names=sorted(names), origins=draft.origins)

    def _timing(self, entry: CheckEntry, draft: Draft, profile: Profile) -> _Timing:
        usual = _TIMING.get(entry.probe, _ANY_TIMING)
        interval = entry.interval or self._intervals.get(entry.probe) or usual.interval
        if profile.shipped and entry.probe in self._intervals and draft.where_of("interval")[0] is profile.where[0]:
            interval = self._intervals[entry.probe]  # defaults.intervals outrank what is shipped, not what is written here
        timeout = entry.timeout or min(usual.timeout, interval)
        if timeout > interval:
            self._collector.error(draft.where_of("timeout"), "timeout_over_interval", timeout=f"{timeout:g}", interval=f"{interval:g}")
        hard_after = entry.hard_after if entry.hard_after is not None else usual.hard_after
        return _Timing(interval, timeout, entry.retry or min(usual.retry, interval), hard_after)

    def _fits(self, probe: Probe, timing: _Timing, draft: Draft) -> None:
        """A train of echoes must be over before the run is cut off."""
        count, spacing, wait = (getattr(probe, name, None) for name in ("count", "spacing_seconds", "wait_seconds"))
        if count is not None and spacing is not None and wait is not None:
            needed = (count - 1) * spacing + wait
            if needed > timing.timeout:
                self._collector.error(draft.where, "train_over_timeout", needed=f"{needed:g}", timeout=f"{timing.timeout:g}")

    def _rules(self, profile: Profile, check: str, probe: Probe, audience: Audience) -> tuple[Rule, ...]:
        rules = []
        metrics = probe.metrics()
        for name, draft in profile.rules.items():
            if draft.values.get("check") != check:
                continue
            try:
                entry = RuleEntry.model_validate(dict(draft.values))
            except pydantic.ValidationError as error:
                self._refuse(error, draft, frozenset(RuleEntry.model_fields))
                continue
            if entry.metric not in metrics:
                self._collector.unknown(draft.where_of("metric"), "unknown_metric", entry.metric, metrics)
                continue
            compare, limits = ("above", entry.above) if entry.above else ("below", entry.below)
            if limits is None or (entry.above and entry.below) or (limits.warn is None and limits.crit is None):
                self._collector.error(draft.where, "rule_thresholds")
                continue
            self._order(limits, compare, draft)
            rules.append(
                Rule(
                    name=name,
                    metric=entry.metric,
                    compare=compare,  # type: ignore[arg-type]  # one of the two words above
                    warn=limits.warn,
                    crit=limits.crit,
                    clear=limits.clear,
                    instance=entry.instance,
                    hold_seconds=entry.hold or 0.0,
                    window_seconds=entry.window or 0.0,
                    audience=entry.audience or audience,
                    strict_in_meetings=entry.strict_in_meetings,
                )
            )
        return tuple(rules)

    def _order(self, limits: Thresholds, compare: str, draft: Draft) -> None:
        """From good to bad: clear, warn, crit."""
        steps = [step for step in (limits.clear, limits.warn, limits.crit) if step is not None]
        if steps != sorted(steps, reverse=compare == "below"):
            self._collector.error(draft.where_of(compare), "rule_order_above" if compare == "above" else "rule_order_below")
