"""What Prometheus is given: promtool reads it, and every metric it names is one that netwatch exports."""

import re
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "grafana" / "prometheus"


def promtool(*arguments):
    return subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)


def test_prometheus_takes_the_rules_and_the_scrape_example():
    for arguments in (("check", "rules", "netwatch.rules.yml"), ("check", "config", "scrape-example.yml")):
        ended = promtool(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_rules_fire_when_they_must_and_not_before():
    ended = promtool("test", "rules", "netwatch.rules_test.yml")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_metric_of_the_rules_is_one_we_export():
    source = "".join(file.read_text("utf-8") for file in (FOLDER.parent.parent / "netwatch").glob("*metric*.py"))
    named = set(re.findall(r"netwatch_[a-z_]+", "".join(re.findall(r"expr: (.*)", (FOLDER / "netwatch.rules.yml").read_text("utf-8")))))
    assert named
    assert {name for name in named if name not in source and name.removeprefix("netwatch_") not in source} == set()
