"""The families of /metrics that come from the snapshot: sites, devices, incidents, netwatch itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from netwatch.lang.writing import clean
from netwatch.model import State
from netwatch.snapshot import SelfView, SiteView, Snapshot, TargetView

__all__ = ["Family", "families", "header", "label_text", "number"]

STATES = (State.OK, State.WARN, State.CRIT, State.UNKNOWN, State.UNREACHABLE, State.MAINTENANCE)
STATE_HELP = "0 ok, 1 warn, 2 crit, 3 unknown, 4 unreachable, 5 maintenance"
LONGEST_VALUE = 200
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    kind: Literal["gauge", "counter"]
    help: str
    series: Iterable[tuple[Mapping[str, str], float]]

    def lines(self) -> Iterator[str]:
        yield header(self.name, self.kind, self.help)
        for labels, value in self.series:
            yield f"{self.name}{label_text(labels)} {number(value)}\n"


def header(name: str, kind: str, about: str) -> str:
    return f"# HELP {name} {clean(about).replace(chr(92), chr(92) * 2)}\n# TYPE {name} {kind}\n"


def label_text(labels: Mapping[str, str]) -> str:
    """Labels as the exposition format writes them; nothing for none."""
    inner = ",".join(f'{name}="{_harmless(value).translate(ESCAPES)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _harmless(value: str) -> str:
    """Cleaning costs ten times what looking does, and hardly any value needs it."""
    return value if value.isprintable() and len(value) <= LONGEST_VALUE else clean(value, LONGEST_VALUE)


def number(value: float) -> str:
    """A figure as Go reads it."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How pages get out: attempts by pager and outcome, the last daily trial of each pager, the last sign of life to the outside."""

    attempts: Mapping[tuple[str, str], int]
    trials: Mapping[str, bool]
    dead_man: bool | None


def families(snapshot: Snapshot, told: Told, sse_clients: int | None, revision: str, python: str) -> Iterator[Family]:
    """Every family that the snapshot can tell; what is unknown has no series."""
    build = {"version": snapshot.self_view.version, "revision": revision, "python": python}
    yield Family("netwatch_build_info", "gauge", "Which netwatch this is.", [(build, 1.0)])
    yield from _of_sites(snapshot.sites)
    yield from _of_targets([target for view in snapshot.sites for target in view.targets])
    yield _alerts(snapshot)
    yield from _of_delivery(told)
    yield from _of_itself(snapshot.self_view)
    if sse_clients is not None:
        yield _single("netwatch_sse_clients", "Browsers that follow the page live.", sse_clients)


def _of_delivery(told: Told) -> Iterator[Family]:
    counted = [({"channel": channel, "outcome": outcome}, float(count)) for (channel, outcome), count in told.attempts.items()]
    yield Family("netwatch_notifications_total", "counter", "Attempts to reach a pager by how they ended.", counted)
    tried = [({"channel": channel}, float(fine)) for channel, fine in told.trials.items()]
    yield Family("netwatch_pager_canary_success", "gauge", "Whether a pager took its last daily trial.", tried)
    if told.dead_man is not None:
        yield _single("netwatch_dead_man_success", "Whether the last sign of life to the outside was taken.", told.dead_man)


def _of_sites(views: Sequence[SiteView]) -> Iterator[Family]:
    yield Family("netwatch_site_info", "gauge", "What a site is.", ((_site_info(view), 1.0) for view in views))
    states = (({"site": view.site.id}, float(STATES.index(view.state))) for view in views)
    yield Family("netwatch_site_state", "gauge", f"State of a site: {STATE_HELP}.", states)
    up = (({"site": view.site.id}, float(view.up)) for view in views if view.up is not None)
    yield Family("netwatch_site_up", "gauge", "Whether any line of a site answers.", up)
    maintained = (({"site": view.site.id}, float(view.state is State.MAINTENANCE)) for view in views)
    yield Family("netwatch_site_maintenance", "gauge", "Whether a site is under maintenance.", maintained)


def _site_info(view: SiteView) -> dict[str, str]:
    site = view.site
    return {
        "site": site.id,
        "code": site.code,
        "name": site.name,
        "district": site.district,
        "kind": site.kind,
        "lat": "" if site.latitude is None else str(site.latitude),
        "lon": "" if site.longitude is None else str(site.longitude),
    }


def _of_targets(targets: Sequence[TargetView]) -> Iterator[Family]:
    up = ((_target(target), float(target.up)) for target in targets if target.up is not None)
    yield Family("netwatch_device_up", "gauge", 'Whether a device, or a line (role "line"), answers.', up)
    states = ((_target(target), float(STATES.index(target.state))) for target in targets)
    yield Family("netwatch_device_state", "gauge", f"State of a device or line: {STATE_HELP}.", states)
    devices = ((_device_info(target), 1.0) for target in targets if target.line is None)
    yield Family("netwatch_device_info", "gauge", "What a device is.", devices)
    contracts = (pair for target in targets for pair in _contract(target))
    yield Family("netwatch_line_contract_bytes_per_second", "gauge", "What the carrier has promised for a line.", contracts)


def _target(target: TargetView) -> dict[str, str]:
    return {"site": target.site, "device": target.id, "role": target.role if target.line is None else "line"}


def _device_info(target: TargetView) -> dict[str, str]:
    facts = {name: fact for check in target.checks for name, fact in check.facts.items()}
    return {
        **_target(target),
        "profile": target.profile,
        "vendor": facts.get("vendor", ""),
        "model": facts.get("model", ""),
        "ip": target.address,
    }


def _contract(target: TargetView) -> Iterator[tuple[dict[str, str], float]]:
    if target.line is not None:
        promised = {"down": target.line.contract_down_bits_per_second, "up": target.line.contract_up_bits_per_second}
        for direction, bits in promised.items():
            if bits:
                yield {"site": target.site, "line": target.id, "direction": direction}, bits / 8


def _alerts(snapshot: Snapshot) -> Family:
    counted = Counter({(severity, state): 0 for severity in ("critical", "warning", "info") for state in ("firing", "acknowledged")})
    for incident in snapshot.incidents:
        counted[incident.severity, "firing" if incident.acknowledgement is None else "acknowledged"] += 1
    series = [({"severity": severity, "state": state}, float(count)) for (severity, state), count in counted.items()]
    return Family("netwatch_alerts", "gauge", "Open incidents.", series)


def _of_itself(view: SelfView) -> Iterator[Family]:
    yield _single("netwatch_inventory_checks", "Checks of the inventory in force.", view.checks)
    yield _single("netwatch_checks_in_flight", "Checks that run now.", view.runs_in_flight)
    yield _single("netwatch_check_lag_seconds", "How late the scheduler begins runs.", view.schedule_lag_seconds)
    yield _single("netwatch_event_loop_lag_seconds", "How late the event loop wakes.", view.loop_lag_seconds)
    yield _single("netwatch_db_bytes", "Size of the database with its log.", view.database_bytes)
    yield _single("netwatch_db_ok", "Whether the disk took the last write.", view.database_ok)
    if view.backup_wall is not None:
        yield _single("netwatch_backup_last_success_timestamp_seconds", "When the newest daily backup was made.", view.backup_wall)
    yield _single("netwatch_backup_failures_total", "Daily backups that could not be made.", view.backup_failures, "counter")
    yield _single("netwatch_outbox_pending", "Pages that no pager has taken yet.", view.outbox_pending)
    yield _single("netwatch_samples_dropped_total", "Samples not stored because the disk was too slow.", view.samples_dropped, "counter")
    yield _single("netwatch_config_last_reload_success", "Whether the inventory was accepted the last time it was read.", view.inventory_ok)
    if view.reloaded_wall:
        yield _single("netwatch_config_last_reload_timestamp_seconds", "When the inventory in force was loaded.", view.reloaded_wall)


def _single(name: str, about: str, value: float, kind: Literal["gauge", "counter"] = "gauge") -> Family:
    return Family(name, kind, about, [({}, float(value))])
