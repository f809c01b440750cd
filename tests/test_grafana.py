"""The dashboards and rules that are shipped: made from the code, in both languages, and every query finds what it asks for."""

import asyncio
import contextlib
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml

from netwatch import install
from netwatch.lang import LANGUAGES, catalog
from netwatch.metrics import Metrics
from netwatch.model import State
from tests import exported, page_server
from tests.province import province
from tests.test_prometheus import ask, prometheus, until

ROOT = Path(__file__).parent.parent
GRAFANA = ROOT / "grafana"
FILES = sorted((GRAFANA / "dashboards").rglob("*.json"))
GOLDEN = ROOT / "tests" / "golden" / "metrics.txt"
NAME = re.compile(r"\b((?:netwatch|process)_[a-z0-9_]+)\b")
LOGICAL = {"$district": ".*", "$line": ".*", "$site": exported.SITE, "$__rate_interval": "5s", "$__range": "1m", "$__interval": "15s"}


def loaded(file):
    return json.loads(file.read_text("utf-8"))


def panels(board):
    return [one for one in board["panels"] if one["type"] != "row"]


def queries(board):
    return [(panel, target) for panel in panels(board) for target in panel["targets"]]


def filled(expr):
    """A query as Grafana sends it."""
    for name, value in sorted(LOGICAL.items(), reverse=True):
        expr = expr.replace(name, value)
    return expr


def known_names():
    """Every name a query may use: a histogram is asked for by its parts."""
    names = set()
    for line in GOLDEN.read_text("utf-8").splitlines():
        name, kind, *_ = line.split()
        names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def strings_at(document, key):
    if isinstance(document, dict):
        found = [value for name, value in document.items() if name == key and isinstance(value, str)]
        return found + [text for value in document.values() for text in strings_at(value, key)]
    return [text for value in document for text in strings_at(value, key)] if isinstance(document, list) else []


def test_the_dashboards_are_what_the_code_makes(tmp_path):
    subprocess.run([sys.executable, ROOT / "tools" / "dashboards.py", tmp_path], check=True, timeout=60)
    made = {path.relative_to(tmp_path): path.read_text("utf-8") for path in tmp_path.rglob("*.json")}
    shipped = {path.relative_to(GRAFANA / "dashboards"): path.read_text("utf-8") for path in FILES}
    assert made == shipped, "run tools/dashboards.py"


def test_what_is_exported_is_what_the_golden_list_says():
    assert exported.listed() == GOLDEN.read_text("utf-8").splitlines(), "python -m tests.exported > tests/golden/metrics.txt"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_dashboard_loads_as_it_is(file):
    board = loaded(file)
    assert "__inputs" not in board
    assert board.get("id") is None
    assert board["schemaVersion"] >= 36
    assert (board["timezone"], board["refresh"]) == ("Asia/Ho_Chi_Minh", "30s")
    assert board["tags"] == ["netwatch", file.parent.name]
    source, *_ = board["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    used = [one["datasource"]["uid"] for one in (*panels(board), *board["templating"]["list"][1:], *board["annotations"]["list"])]
    used += [target["datasource"]["uid"] for _, target in queries(board)]
    assert set(used) == {"${datasource}"}
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0


def test_uids_are_unique_and_fit_and_links_lead_to_them():
    uids = [loaded(file)["uid"] for file in FILES]
    assert len(set(uids)) == len(uids) == 4
    assert all(len(uid) <= 40 for uid in uids)
    for file in FILES:
        linked = {match for url in strings_at(loaded(file), "url") for match in re.findall(r"^/d/([^?]+)", url)}
        assert linked <= {loaded(other)["uid"] for other in FILES if other.parent == file.parent}


def test_both_languages_ask_the_same_and_only_the_words_differ():
    for vietnamese in FILES:
        if vietnamese.parent.name == "vi":
            english = GRAFANA / "dashboards" / "en" / vietnamese.name
            assert strings_at(loaded(vietnamese), "expr") == strings_at(loaded(english), "expr")
            titles = [[panel["title"] for panel in panels(loaded(file))] for file in (vietnamese, english)]
            assert not set(titles[0]) & set(titles[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_written_for_nothing(language):
    texts = {key: text for key, text in catalog(language).texts.items() if key.startswith("grafana.")}
    written = "".join(file.read_text("utf-8") for file in FILES if file.parent.name == language)
    assert [key for key, text in texts.items() if json.dumps(text, ensure_ascii=False)[1:-1] not in written] == []


def test_the_states_have_the_numbers_that_metrics_exports():
    from netwatch._metric_families import STATES

    board = loaded(GRAFANA / "dashboards" / "en" / "netwatch-site.json")
    (mapping,) = panels(board)[0]["fieldConfig"]["defaults"]["mappings"]
    assert {int(number): result["text"] for number, result in mapping["options"].items()} == {
        number: catalog("en").text(f"state.{state.value}") for number, state in enumerate(STATES)
    }
    assert len(mapping["options"]) == len(State)


def expressions():
    yield from (
        (file.name, expr) for file in FILES for expr in strings_at(loaded(file), "expr") + strings_at(loaded(file)["templating"], "query")
    )
    for file in (GRAFANA / "prometheus").glob("*.rules.yml"):
        yield from ((file.name, expr) for expr in strings_at(yaml.safe_load(file.read_text("utf-8")), "expr"))


def test_every_metric_that_is_asked_for_is_exported():
    asked = {(file, name) for file, expr in expressions() for name in NAME.findall(expr)}
    assert len(asked) > 60
    assert sorted((file, name) for file, name in asked if name not in known_names()) == []


class Exporting(page_server.FakeDaemon):
    """Each scrape finds the province once more measured."""

    def __init__(self):
        super().__init__(province())
        self.registry, self.run = Metrics(), exported.checks()

    async def metrics(self, sse_clients):
        exported.observe(self.registry, self.run)
        return await exported.text(self.registry)


@contextlib.asynccontextmanager
async def scraped(directory):
    """A real Prometheus with the shipped example of a configuration and the shipped rules; only address and pace are changed."""
    for file in (GRAFANA / "prometheus").glob("*.yml"):
        shutil.copy(file, directory)
    example = yaml.safe_load((GRAFANA / "prometheus" / "scrape-example.yml").read_text("utf-8"))
    example["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    _, blackbox = example["scrape_configs"]
    blackbox["scrape_interval"] = "5s"
    written = json.dumps(example).replace("{", "{{").replace("}", "}}").replace("127.0.0.1:9780", "{target}")
    runner, address = await page_server.serve(Exporting())
    try:
        async with prometheus(directory, address, written) as url, aiohttp.ClientSession() as http:
            yield http, url
    finally:
        await runner.cleanup()


def figures(found):
    return [(labels, value) for labels, value in found if math.isfinite(value)]


def legend_labels(target):
    return set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))


def test_every_panel_finds_data_in_a_real_prometheus_that_scraped_us(tmp_path):
    boards = [loaded(file) for file in FILES if file.parent.name == "vi"]

    async def scenario():
        async with asyncio.timeout(110), scraped(tmp_path) as (http, url):
            await until(http, url, "count(probe_success) == 318", bool)  # all that /sd/http lists for icmp
            await until(http, url, "rate(netwatch_icmp_sent_total[5s])", bool)
            for panel, target in (pair for board in boards for pair in queries(board)):
                expr = filled(target["expr"])
                found = await until(http, url, expr, figures)
                told = {name for labels, _ in found for name in labels}
                assert legend_labels(target) - {"le"} <= told, (panel["title"], expr)
                if panel["type"] in {"table", "geomap"}:
                    check_columns(panel, target, told)
            for expr in (filled(expr) for board in boards for expr in strings_at(board["annotations"], "expr")):
                async with http.get(f"{url}/api/v1/query", params={"query": expr}) as answer:
                    assert answer.status == 200, expr
            await check_variables(http, url, boards)
            assert await ask(http, url, "up == 0") == []
            async with http.get(f"{url}/api/v1/rules") as answer:
                groups = (await answer.json())["data"]["groups"]
            assert [group["name"] for group in groups] == ["netwatch-itself"]

    asyncio.run(scenario())


def check_columns(panel, target, told):
    """What a table renames, or a map reads its place from, is in the answer."""
    renamed = {name for one in panel["transformations"] for name in one["options"].get("renameByName", {})}
    values = {"Value", *(f"Value #{one['refId']}" for one in panel["targets"])}
    if target["refId"] == "A":
        assert renamed - values <= told
        assert {name for name in renamed if name.startswith("Value #")} <= values
    if panel["type"] == "geomap":
        place = panel["options"]["layers"][0]["location"]
        assert {place["latitude"], place["longitude"]} <= told


async def check_variables(http, url, boards):
    for variable in (one for board in boards for one in board["templating"]["list"] if one["type"] == "query"):
        asked, label = re.fullmatch(r"(?:label_values|query_result)\((.*?)(?:, (\w+))?\)", filled(variable["query"])).groups()
        found = await ask(http, url, asked)
        if label:
            assert {labels.get(label) for labels, _ in found} - {None}
            continue
        pattern = variable["regex"].strip("/").replace("(?<", "(?P<")
        for labels, _ in found:  # as Grafana writes a series of query_result
            inner = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
            match = re.search(pattern, f"{labels['__name__']}{{{inner}}} 1 1795463230000")
            assert (match["text"], match["value"]) == (labels["name"], labels["site"])


def checked(*command):
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_promtool_and_amtool_take_what_is_shipped():
    rules = sorted((GRAFANA / "prometheus").glob("*.rules.yml"))
    assert len(rules) == 2
    checked("promtool", "check", "rules", *rules)
    checked("promtool", "test", "rules", *sorted((GRAFANA / "prometheus").glob("*.rules_test.yml")))
    checked("promtool", "check", "config", GRAFANA / "prometheus" / "scrape-example.yml")
    checked("amtool", "check-config", GRAFANA / "alertmanager" / "example.yml")


def test_every_rule_has_a_test_that_sees_it_fire():
    for file in (GRAFANA / "prometheus").glob("*.rules.yml"):
        alerts = set(strings_at(yaml.safe_load(file.read_text("utf-8")), "alert"))
        tests = yaml.safe_load(file.with_suffix("").with_suffix(".rules_test.yml").read_text("utf-8"))["tests"]
        fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one.get("exp_alerts")}
        assert alerts == fired


def test_by_default_only_what_netwatch_cannot_tell_itself_is_loaded():
    example = yaml.safe_load((GRAFANA / "prometheus" / "scrape-example.yml").read_text("utf-8"))
    assert example["rule_files"] == ["netwatch.rules.yml"]
    own = yaml.safe_load((GRAFANA / "prometheus" / "netwatch.rules.yml").read_text("utf-8"))
    assert not {
        name for expr in strings_at(own, "expr") for name in NAME.findall(expr) if name.startswith(("netwatch_site", "netwatch_device"))
    }


def test_promtool_finds_nothing_to_complain_about_in_all_that_can_be_exported():
    async def scenario():
        metrics = Metrics()
        exported.observe(metrics, exported.checks())
        return await exported.text(metrics)

    ended = subprocess.run(["promtool", "check", "metrics"], input=asyncio.run(scenario()), capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_what_is_installed_says_where_its_dashboards_are(tmp_path):
    items = {str(item.path.relative_to(tmp_path)): item.content.decode() for item in install.grafana(tmp_path)}
    providers = yaml.safe_load(items["provisioning/dashboards/netwatch.yaml"])["providers"]
    for provider in providers:
        place = Path(provider["options"]["path"])
        assert place.is_relative_to(tmp_path)
        assert [name for name in items if name.startswith(f"{place.relative_to(tmp_path)}/")]
    (source,) = yaml.safe_load(items["provisioning/datasources/netwatch.yaml"])["datasources"]
    assert source["uid"] == "netwatch-prometheus"
    assert not [name for name in items if name.startswith(("prometheus", "alertmanager"))]
