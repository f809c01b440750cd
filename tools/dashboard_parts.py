"""What both dashboards are made of: words, colours, queries, variables, panels that never lack title, unit and description."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import bargauge, dashboard, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Threshold, ThresholdsMode, ValueMap, ValueMappingResult
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from netwatch.lang import Catalog, catalog

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
COMMUNES = 'netwatch_site_info{kind="commune", district=~"$district"}'
# The page's own colours: told apart with any colour blindness, and what is well stays quiet.
STATES = {
    "ok": "#1F4D3F",
    "warn": "#FFC04D",
    "crit": "#E8432E",
    "unknown": "#9FA8B3",
    "unreachable": "#5A6470",
    "maintenance": "#5B86C0",
}
QUIET, WARN, CRIT = "#5A9E8A", STATES["warn"], STATES["crit"]
BANDS = {"p90": 0.9, "p75": 0.75, "p50": 0.5, "p25": 0.25, "p10": 0.1}
Panel = Any  # the builders of all kinds of panels share their methods but no class


class Words:
    """The texts of one language, from `netwatch/lang/<language>/grafana.json`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._catalog: Catalog = catalog(language)

    def __call__(self, key: str) -> str:
        return self._catalog.text(f"grafana.{key}")

    def state(self, name: str) -> str:
        return self._catalog.text(f"state.{name}")

    def uid(self, name: str) -> str:
        return f"netwatch-{name}" if self.language == "vi" else f"netwatch-{name}-{self.language}"


def query(
    expr: str, legend: str = "", *, ref: str = "A", instant: bool = False, form: PromQueryFormat | None = None
) -> prometheus.Dataquery:
    """One PromQL query; a table and a bar gauge only want its last value, `instant`."""
    made = prometheus.Dataquery().expr(expr).ref_id(ref).datasource(SOURCE).legend_format(legend or "__auto")
    if form is not None:
        made.format(form)
    return made.instant() if instant else made.range()


def dressed(panel: Panel, words: Words, name: str, unit: str, size: tuple[int, int]) -> Panel:
    """`name` finds title and description; `size` is columns of 24, and rows."""
    return (
        panel.title(words(f"{name}_title")).description(words(f"{name}_about")).datasource(SOURCE).unit(unit).span(size[0]).height(size[1])
    )


def stat_of(words: Words, name: str, unit: str, size: tuple[int, int], *queries: prometheus.Dataquery) -> stat.Panel:
    panel = dressed(stat.Panel(), words, name, unit, size).targets(list(queries))
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(common.BigValueGraphMode.NONE).color_mode(common.BigValueColorMode.VALUE)
    return panel.thresholds(steps((None, QUIET)))


def lines_of(words: Words, name: str, unit: str, size: tuple[int, int], *queries: prometheus.Dataquery) -> timeseries.Panel:
    panel = dressed(timeseries.Panel(), words, name, unit, size).targets(list(queries))
    legend = common_builders.VizLegendOptions().show_legend(show_legend=True)
    panel.legend(legend.display_mode(common.LegendDisplayMode.LIST).placement(common.LegendPlacement.BOTTOM))
    panel.tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    return panel.line_width(1).show_points(common.VisibilityMode.NEVER)


def bars_of(words: Words, name: str, unit: str, size: tuple[int, int], expr: str, legend: str) -> bargauge.Panel:
    panel = dressed(bargauge.Panel(), words, name, unit, size).targets([query(expr, legend, instant=True)])
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC).min(0)


def timeline_of(words: Words, name: str, size: tuple[int, int], *queries: prometheus.Dataquery) -> statetimeline.Panel:
    panel = dressed(statetimeline.Panel(), words, name, "none", size).targets(list(queries))
    panel.mappings(state_mapping(words)).merge_values(merge_values=True).show_value(common.VisibilityMode.NEVER)
    return panel.row_height(0.85).line_width(0).fill_opacity(90)


def heatmap_of(words: Words, name: str, unit: str, size: tuple[int, int], expr: str) -> heatmap.Panel:
    panel = dressed(heatmap.Panel(), words, name, unit, size)
    panel.targets([query(expr, "{{le}}", form=PromQueryFormat.HEATMAP)])
    return panel.calculate(calculate=False).cell_gap(0)


def table_of(words: Words, name: str, size: tuple[int, int], *queries: prometheus.Dataquery) -> table.Panel:
    return dressed(table.Panel(), words, name, "none", size).targets(list(queries))


def steps(*found: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    made = [Threshold(value=value, color=color) for value, color in found]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def graded(panel: Panel, warn: float, crit: float) -> Panel:
    """Quiet below `warn`; told by thresholds, so that the colour means something."""
    panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    return panel.thresholds(steps((None, QUIET), (warn, WARN), (crit, CRIT)))


def state_mapping(words: Words) -> list[Any]:
    results = {
        str(number): ValueMappingResult(text=words.state(name), color=color, index=number)
        for number, (name, color) in enumerate(STATES.items())
    }
    return [ValueMap(options=results)]


def column(name: str, **properties: object) -> tuple[str, list[DynamicConfigValue]]:
    return name, [DynamicConfigValue(id_val=key.replace("__", "."), value=value) for key, value in properties.items()]


def quantile(share: float, by: str, where: str) -> str:
    """Of the round trips of a line, from the histogram."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate(netwatch_icmp_rtt_seconds_bucket{{{where}}}[$__rate_interval])))"


def loss(by: str, where: str) -> str:
    received, sent = (f"sum by ({by}) (rate(netwatch_icmp_{what}_total{{{where}}}[$__rate_interval]))" for what in ("received", "sent"))
    return f"1 - {received} / {sent}"


def begun(words: Words, name: str, uid: str, since: str) -> dashboard.Dashboard:
    """A dashboard with what all have; panels and further variables are for the caller."""
    made = dashboard.Dashboard(words(f"{name}_dashboard")).uid(words.uid(uid)).description(words(f"{name}_dashboard_about"))
    made.tags(["netwatch", words.language]).timezone("Asia/Ho_Chi_Minh").refresh("30s").time(since, "now").editable()
    made.tooltip(model.DashboardCursorSync.CROSSHAIR)
    made.with_variable(dashboard.DatasourceVariable("datasource").label(words("datasource")).type("prometheus"))
    links = dashboard.DashboardLink("netwatch").type(model.DashboardLinkType.DASHBOARDS).tags(["netwatch", words.language])
    made.link(links.as_dropdown(as_dropdown=False).keep_time(keep_time=True).include_vars(include_vars=True))
    return made.annotation(event(words("reloads"), "changes(netwatch_config_last_reload_timestamp_seconds[$__interval]) > 0", "#5B86C0"))


def event(name: str, expr: str, color: str) -> dashboard.AnnotationQuery:
    return dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(enable=True).icon_color(color).expr(expr).title_format(name)


def chosen(name: str, label: str, asked: str) -> dashboard.QueryVariable:
    """A variable filled by a query, read again whenever the time range changes."""
    made = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(asked)
    return made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def any_of(variable: dashboard.QueryVariable, words: Words) -> dashboard.QueryVariable:
    """Several may be chosen; all, to begin with."""
    all_of_them = model.VariableOption(selected=True, text=words("all"), value="$__all")
    return variable.multi(multi=True).include_all(include_all=True).all_value(".*").current(all_of_them)


def site_link(words: Words, field: str) -> dashboard.DashboardLink:
    """To the dashboard of one site, keeping the time; `field` is what holds its slug."""
    url = f"/d/{words.uid('site')}?var-site=${{{field}}}&var-datasource=${{datasource}}&${{__url_time_range}}"
    return dashboard.DashboardLink(words("open_site")).url(url)


def numbered(made: dashboard.Dashboard) -> model.Dashboard:
    """Built, with a number for every panel: links and repeats need one."""
    done = made.build()
    for number, panel in enumerate(done.panels or [], start=1):
        panel.id_val = number
    return done
