"""The dashboard of one site."""

from __future__ import annotations

from dashboard_parts import (
    BANDS,
    CRIT,
    QUIET,
    WARN,
    Panel,
    Words,
    any_of,
    bars_of,
    begun,
    chosen,
    column,
    event,
    graded,
    heatmap_of,
    lines_of,
    loss,
    numbered,
    quantile,
    query,
    stat_of,
    state_mapping,
    steps,
    table_of,
    timeline_of,
)
from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SITE = 'site="$site"'
LINES = f'{SITE}, target=~"$line"'
NAME_AND_SLUG = '/name="(?<text>[^"]+)".*site="(?<value>[^"]+)"/'  # label names come in alphabetical order
ROUTERS = 'and on (site, device) netwatch_device_info{role="router"}'


def site(words: Words) -> model.Dashboard:
    made = begun(words, "site", "site", "now-30h")
    made.with_variable(chosen("site", words("site"), "query_result(netwatch_site_info)").regex(NAME_AND_SLUG))
    lines = chosen("line", words("line"), 'label_values(netwatch_device_state{site="$site", role="line"}, device)')
    made.with_variable(any_of(lines, words))
    made.annotation(event(words("maintenance"), f"netwatch_site_maintenance{{{SITE}}} == 1", "#5B86C0"))
    for panel in (*_head(words), *_smoke(words), *_lines(words)):
        made.with_panel(panel)
    made.with_row(dashboard.Row(words("traffic_row")))
    for panel in _traffic(words):
        made.with_panel(panel)
    made.with_row(dashboard.Row(words("devices_row")))
    for panel in _devices(words):
        made.with_panel(panel)
    return numbered(made)


def _head(words: Words) -> tuple[Panel, ...]:
    state = stat_of(words, "state", "none", (4, 5), query(f"max(netwatch_site_state{{{SITE}}})")).mappings(state_mapping(words))
    up = stat_of(words, "up_ratio", "percentunit", (4, 5), query(f"avg(avg_over_time(netwatch_site_up{{{SITE}}}[$__range]))")).decimals(3)
    slow = stat_of(words, "rtt_now", "s", (4, 5), query(quantile(0.95, "target", LINES), "{{target}}"))
    lossy = stat_of(words, "loss_now", "percentunit", (4, 5), query(loss("target", LINES), "{{target}}")).decimals(1)
    jittery = stat_of(words, "jitter_now", "s", (4, 5), query(f"netwatch_icmp_jitter_seconds{{{LINES}}}", "{{target}}"))
    promised = f"8 * netwatch_line_contract_bytes_per_second{{{SITE}}}"
    contract = stat_of(words, "contract", "bps", (4, 5), query(promised, "{{line}} · {{direction}}"))
    return state, up, graded(slow, 0.1, 0.15), graded(lossy, 0.01, 0.05), graded(jittery, 0.03, 0.04), contract


def _smoke(words: Words) -> tuple[Panel, ...]:
    """SmokePing's picture of each line: the spread as bands, the median as a line over them."""
    bands = [query(quantile(share, "site", LINES), name, ref=chr(ord("A") + at)) for at, (name, share) in enumerate(BANDS.items())]
    smoke = lines_of(words, "smoke", "s", (24, 10), *bands).repeat("line").repeat_direction("h").max_per_row(2).min(0)
    grey = {"mode": "fixed", "fixedColor": "#9FA8B3"}
    for upper, lower, opacity in (("p90", "p10", 15), ("p75", "p25", 30)):
        shown = {"color": grey, "custom__fillBelowTo": lower, "custom__fillOpacity": opacity, "custom__lineWidth": 0}
        smoke.override_by_name(*column(upper, **shown))
        smoke.override_by_name(*column(lower, color=grey, custom__lineWidth=0))
    smoke.override_by_name(*column("p50", color={"mode": "fixed", "fixedColor": QUIET}, custom__lineWidth=2))
    counted = f"sum by (le) (increase(netwatch_icmp_rtt_seconds_bucket{{{LINES}}}[$__rate_interval]))"
    return smoke, heatmap_of(words, "heat", "s", (24, 8), counted)


def _lines(words: Words) -> tuple[Panel, ...]:
    lossy = lines_of(words, "loss", "percentunit", (8, 8), query(loss("target", LINES), "{{target}}")).min(0).max(1).fill_opacity(25)
    jittery = lines_of(words, "jitter", "s", (8, 8), query(f"netwatch_icmp_jitter_seconds{{{LINES}}}", "{{target}}")).min(0)
    states = timeline_of(
        words, "line_states", (8, 8), query(f'max by (device) (netwatch_device_state{{{SITE}, role="line"}})', "{{device}}")
    )
    return lossy, jittery, states


def _traffic(words: Words) -> tuple[Panel, ...]:
    received, sent = (f"8 * (netwatch_interface_{way}_bytes_per_second{{{SITE}}} {ROUTERS})" for way in ("receive", "transmit"))
    carried = lines_of(
        words,
        "traffic",
        "bps",
        (14, 9),
        query(received, f"{words('received')} · {{{{device}}}} {{{{interface}}}}"),
        query(sent, f"{words('sent')} · {{{{device}}}} {{{{interface}}}}", ref="B"),
        query(f"8 * netwatch_line_contract_bytes_per_second{{{SITE}}}", f"{words('promised')} · {{{{line}}}} {{{{direction}}}}", ref="C"),
    )
    dashed = {"fill": "dash", "dash": [10, 10]}
    carried.override_by_regexp(*column(f"/^{words('promised')}/", custom__lineStyle=dashed, color={"mode": "fixed", "fixedColor": CRIT}))
    faults = [
        query(
            f"sum by (device) (netwatch_interface_{what}_per_second{{{SITE}}})", f"{{{{device}}}} · {words(what)}", ref=chr(ord("A") + at)
        )
        for at, what in enumerate(("receive_errors", "transmit_errors", "receive_discards", "transmit_discards"))
    ]
    return carried.min(0), lines_of(words, "faults", "pps", (10, 9), *faults).min(0)


def _devices(words: Words) -> tuple[Panel, ...]:
    states = timeline_of(
        words, "device_states", (14, 11), query(f'max by (device) (netwatch_device_state{{{SITE}, role!="line"}})', "{{device}}")
    )
    rtt = lines_of(words, "device_rtt", "s", (12, 8), query(quantile(0.5, "target", SITE), "{{target}}")).min(0)
    answers = lines_of(words, "services", "s", (12, 8), query(f"netwatch_tcp_connect_seconds{{{SITE}}}", "{{target}} · {{check}}")).min(0)
    supplies = bars_of(words, "supplies", "percentunit", (8, 8), f"netwatch_printer_supply_ratio{{{SITE}}}", "{{device}} · {{supply}}").max(
        1
    )
    supplies.thresholds(steps((None, CRIT), (0.05, WARN), (0.15, QUIET)))
    battery = stat_of(
        words,
        "ups",
        "none",
        (8, 8),
        query(f"netwatch_ups_charge_ratio{{{SITE}}}", words("charge")),
        query(f"netwatch_ups_runtime_seconds{{{SITE}}}", words("runtime"), ref="B"),
        query(f"netwatch_ups_on_battery{{{SITE}}}", words("battery"), ref="C"),
    )
    battery.override_by_name(*column(words("charge"), unit="percentunit")).override_by_name(*column(words("runtime"), unit="s"))
    clients = lines_of(words, "clients", "none", (8, 8), query(f"netwatch_ap_clients{{{SITE}}}", "{{device}}")).min(0)
    load = lines_of(
        words,
        "load",
        "percentunit",
        (12, 8),
        query(f"netwatch_cpu_ratio{{{SITE}}}", "{{device}} · CPU"),
        query(f"netwatch_memory_ratio{{{SITE}}}", f"{{{{device}}}} · {words('memory')}", ref="B"),
    )
    uptime = bars_of(words, "uptime", "s", (12, 8), f"netwatch_uptime_seconds{{{SITE}}}", "{{device}}")
    uptime.thresholds(steps((None, WARN), (86400, QUIET)))
    return states, _table(words), rtt, answers, supplies, battery, clients, load.min(0).max(1), uptime


def _table(words: Words) -> Panel:
    joined = f"netwatch_device_state{{{SITE}}} * on (site, device) group_left (profile, vendor, model, ip) netwatch_device_info{{{SITE}}}"
    kept = ("device", "role", "model", "ip", "Value")
    labels = ", ".join(kept[:-1])
    panel = table_of(words, "devices", (10, 11), query(f"sum by ({labels}) ({joined})", instant=True, form=PromQueryFormat.TABLE))
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {name: position for position, name in enumerate(kept)},
        "renameByName": {name: words(f"column_{name}") for name in kept[:-1]} | {"Value": words("column_state")},
    }
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organize))
    colored = {"type": "color-background"}
    return panel.override_by_name(*column(words("column_state"), mappings=state_mapping(words), custom__cellOptions=colored))
