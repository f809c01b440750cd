"""The dashboard of all 45 sites."""

from __future__ import annotations

from typing import Any

from dashboard_parts import (
    COMMUNES,
    CRIT,
    QUIET,
    STATES,
    WARN,
    Panel,
    Words,
    any_of,
    bars_of,
    begun,
    chosen,
    column,
    dressed,
    graded,
    lines_of,
    loss,
    numbered,
    quantile,
    query,
    site_link,
    stat_of,
    state_mapping,
    steps,
    table_of,
    timeline_of,
)
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard, geomap
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import geomap as map_model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

LINES = 'target=~"$line"'
NAMED = f"* on (site) group_left (name) {COMMUNES}"
STATE = f"sum by (site, name, district) (netwatch_site_state * on (site) group_left (name, district) {COMMUNES})"
OF_COMMUNES = f"and on (site) {COMMUNES}"


def overview(words: Words) -> model.Dashboard:
    made = begun(words, "overview", "overview", "now-24h")
    made.with_variable(any_of(chosen("district", words("district"), 'label_values(netwatch_site_info{kind="commune"}, district)'), words))
    lines = chosen("line", words("line"), 'label_values(netwatch_device_state{role="line"}, device)')
    made.with_variable(any_of(lines, words))
    for panel in (*_head(words), _timeline(words), _table(words), _map(words), *_worst(words), *_devices(words)):
        made.with_panel(panel)
    made.with_row(dashboard.Row(words("own_row")))
    for panel in _own(words):
        made.with_panel(panel)
    return numbered(made)


def _head(words: Words) -> tuple[Panel, ...]:
    up = stat_of(words, "sites_up", "none", (4, 5), query(f"sum(netwatch_site_up * on (site) group_left () {COMMUNES})", words("up")))
    counted = [
        query(f"count({STATE} == {number}) or vector(0)", words.state(name), ref=chr(ord("A") + number))
        for number, name in enumerate(STATES)
    ]
    by_state = stat_of(words, "sites_by_state", "none", (12, 5), *counted)
    for name, color in STATES.items():
        shown = {"mode": "fixed", "fixedColor": QUIET if name == "ok" else color}
        by_state.override_by_name(*column(words.state(name), color=shown))
    incidents = stat_of(
        words,
        "incidents",
        "none",
        (5, 5),
        query('sum(netwatch_alerts{state="firing"})', words("unhandled")),
        query('sum(netwatch_alerts{state="acknowledged"})', words("handled"), ref="B"),
    )
    incidents.override_by_name(*column(words("unhandled"), thresholds=_alarming()))
    battery = stat_of(words, "on_battery", "none", (3, 5), query("sum(netwatch_ups_on_battery)", words("sites")))
    return up, by_state, incidents, graded(battery, 1, 5)


def _alarming() -> dict[str, Any]:
    return {"mode": "absolute", "steps": [{"value": None, "color": QUIET}, {"value": 1, "color": CRIT}]}


def _timeline(words: Words) -> Panel:
    panel = timeline_of(words, "states", (24, 26), query(STATE, "{{name}}"))
    return panel.data_links([site_link(words, "__field.labels.site")])


def _table(words: Words) -> Panel:
    contract = f'8 * sum by (site) (netwatch_line_contract_bytes_per_second{{direction="down"}} {OF_COMMUNES})'
    expressions = (
        STATE,
        f"max by (site) ({quantile(0.95, 'site, target', LINES)} {OF_COMMUNES})",
        f"max by (site) (({loss('site, target', LINES)}) {OF_COMMUNES})",
        contract,
        f"sum by (site) ((netwatch_device_state > bool 0) {OF_COMMUNES})",
    )
    asked = [query(expr, ref=ref, instant=True, form=PromQueryFormat.TABLE) for ref, expr in zip("ABCDE", expressions, strict=True)]
    panel = table_of(words, "sites", (14, 18), *asked)
    names = {"name": "site", "district": "district"} | dict(zip((f"Value #{ref}" for ref in "ABCDE"), COLUMNS, strict=True))
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {name: position for position, name in enumerate((*names, "site"))},
        "renameByName": {name: words(f"column_{word}") for name, word in names.items()} | {"site": "slug"},
    }
    panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organize))
    sort = common_builders.TableSortByFieldState().display_name(words("column_state")).desc(desc=True)
    panel.sort_by([sort]).data_links([site_link(words, "__data.fields.slug")])
    colored = {"type": "color-background"}
    panel.override_by_name(*column(words("column_state"), mappings=state_mapping(words), custom__cellOptions=colored))
    panel.override_by_name(*column(words("column_rtt"), unit="s", decimals=0))
    panel.override_by_name(*column(words("column_loss"), unit="percentunit", decimals=1))
    panel.override_by_name(*column(words("column_contract"), unit="bps"))
    return panel.override_by_name(*column("slug", custom__hidden=True))


COLUMNS = ("state", "rtt", "loss", "contract", "devices")


def _map(words: Words) -> Panel:
    """Markers at the labels lat and lon. `default` is whatever base map the Grafana at hand is set up with."""
    expr = f"sum by (site, name, lat, lon) (netwatch_site_state * on (site) group_left (name, lat, lon) {COMMUNES})"
    panel = dressed(geomap.Panel(), words, "map", "none", (10, 18))
    panel.targets([query(expr, instant=True, form=PromQueryFormat.TABLE)]).mappings(state_mapping(words))
    numbers = {"conversions": [{"targetField": name, "destinationType": "number"} for name in ("lat", "lon")], "fields": {}}
    panel.with_transformation(model.DataTransformerConfig(id_val="convertFieldType", options=numbers))
    style = {
        "size": {"fixed": 7},
        "color": {"field": "Value", "fixed": QUIET},
        "opacity": 0.9,
        "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
    }
    place = common.FrameGeometrySource(mode=common.FrameGeometrySourceMode.COORDS, latitude="lat", longitude="lon")
    layer = common.MapLayerOptions(
        type_val="markers", name=words("sites"), config={"showLegend": False, "style": style}, location=place, tooltip=True
    )
    base = common.MapLayerOptions(type_val="default", name="base")
    view = map_model.MapViewConfig(id_val="fit", all_layers=True)
    panel._internal.options = map_model.Options(view=view, basemap=base, layers=[layer])  # noqa: SLF001  # the builder has no way to give plain options
    return panel.thresholds(steps((None, STATES["ok"]), *((number, color) for number, color in enumerate(STATES.values()) if number)))


def _worst(words: Words) -> tuple[Panel, ...]:
    """SmokePing's charts: the ten worst, now."""
    legend = "{{name}} · {{target}}"
    lossy = bars_of(words, "worst_loss", "percentunit", (8, 10), f"topk(10, ({loss('site, target', LINES)}) {NAMED})", legend)
    slow = bars_of(words, "worst_rtt", "s", (8, 10), f"topk(10, {quantile(0.95, 'site, target', LINES)} {NAMED})", legend)
    jittery = bars_of(words, "worst_jitter", "s", (8, 10), f"topk(10, netwatch_icmp_jitter_seconds{{{LINES}}} {NAMED})", legend)
    return graded(lossy, 0.01, 0.1).max(1), graded(slow, 0.1, 0.15), graded(jittery, 0.03, 0.04)


def _devices(words: Words) -> tuple[Panel, ...]:
    bad = bars_of(words, "bad_devices", "none", (12, 9), 'sum by (role) (netwatch_device_state{role!="line"} > bool 0)', "{{role}}")
    supplies = f"bottomk(15, netwatch_printer_supply_ratio {NAMED})"
    empty = bars_of(words, "supplies_low", "percentunit", (12, 9), supplies, "{{name}} · {{device}} · {{supply}}").max(1)
    empty.thresholds(steps((None, CRIT), (0.05, WARN), (0.15, QUIET)))
    return graded(bad, 1, 10), empty


def _own(words: Words) -> tuple[Panel, ...]:
    runs = lines_of(words, "runs", "ops", (8, 8), query("sum by (outcome) (rate(netwatch_checks_total[$__rate_interval]))", "{{outcome}}"))
    late = lines_of(
        words,
        "lateness",
        "s",
        (8, 8),
        query("max(netwatch_check_lag_seconds)", words("schedule")),
        query("max(netwatch_event_loop_lag_seconds)", words("loop"), ref="B"),
    )
    sent = lines_of(
        words,
        "pages",
        "none",
        (8, 8),
        query("sum by (channel, outcome) (increase(netwatch_notifications_total[$__rate_interval]))", "{{channel}} · {{outcome}}"),
        query("sum(netwatch_outbox_pending)", words("waiting"), ref="B"),
    )
    size = lines_of(
        words,
        "size",
        "bytes",
        (12, 8),
        query("process_resident_memory_bytes and on (instance, job) netwatch_build_info", words("memory")),
        query("sum(netwatch_db_bytes)", words("history"), ref="B"),
    )
    health = stat_of(
        words,
        "health",
        "none",
        (12, 8),
        query("min(netwatch_config_last_reload_success)", words("inventory")),
        query("min(netwatch_db_ok)", words("disk"), ref="B"),
        query("sum(netwatch_samples_dropped_total)", words("dropped"), ref="C"),
        query("sum(netwatch_series_dropped_total)", words("dropped_series"), ref="D"),
    )
    return runs, late, sent, size, health
