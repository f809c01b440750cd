"""A real Prometheus scrapes us and can be asked for what a probe measured."""

import asyncio
import contextlib
import socket
import subprocess

import aiohttp
from aiohttp import web

from netwatch.metrics import Metrics
from netwatch.model import Outcome, Sample
from tests.servers import http_server
from tests.test_metrics import busy, check, result, snapshot

CONFIGURATION = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: netwatch
    static_configs: [{{targets: ["{target}"]}}]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def prometheus(directory, target, configuration=CONFIGURATION):
    (directory / "prometheus.yml").write_text(configuration.format(target=target.removeprefix("http://")))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={address}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220  # starting it takes no time
    try:
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


async def ask(http, url, query):
    """The labels and values an instant query gives; nothing while Prometheus is not ready."""
    try:
        async with http.get(f"{url}/api/v1/query", params={"query": query}) as answer:
            if answer.status != 200:
                return []
            found = await answer.json()
    except aiohttp.ClientError:
        return []
    return [(one["metric"], float(one["value"][1])) for one in found["data"]["result"]]


async def until(http, url, query, wanted):
    while not wanted(found := await ask(http, url, query)):  # noqa: ASYNC110  # another program has no event to wait for
        await asyncio.sleep(0.05)
    return found


def test_a_real_prometheus_scrapes_us_and_forgets_what_we_forget(tmp_path):
    metrics = Metrics()
    line = check()
    metrics.observe(
        line, result(Sample("icmp_rtt_seconds", (0.012, 0.031)), Sample("icmp_sent", (5.0,)), Sample("jitter_seconds", (0.004,)))
    )

    async def serve(request):
        return web.Response(body=await metrics.render(snapshot()), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def scenario():
        async with asyncio.timeout(60), http_server(serve) as target, prometheus(tmp_path, target) as url, aiohttp.ClientSession() as http:
            ((labels, sent),) = await until(http, url, "netwatch_icmp_sent_total", bool)
            assert (labels["site"], labels["target"], sent) == ("na-tau", "line1", 5)
            query = "histogram_quantile(0.5, sum by (le, site) (netwatch_icmp_rtt_seconds_bucket))"
            ((labels, median),) = await until(http, url, query, bool)
            assert labels == {"site": "na-tau"}
            assert 0.01 <= median <= 0.015
            assert len(await until(http, url, "netwatch_jitter_seconds", bool)) == 1
            metrics.observe(line, result(outcome=Outcome.FAILED))
            await until(http, url, "netwatch_jitter_seconds", lambda found: not found)
            metrics.forget([line])
            await until(http, url, '{site="na-tau"}', lambda found: not found)
            ((_, up),) = await ask(http, url, "up")
            assert up == 1

    asyncio.run(scenario())


def test_a_real_prometheus_takes_every_line_of_a_large_text(tmp_path):
    metrics = busy()

    async def serve(request):
        return web.Response(body=await metrics.render(snapshot()), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def scenario():
        async with asyncio.timeout(60), http_server(serve) as target, prometheus(tmp_path, target) as url, aiohttp.ClientSession() as http:
            ((_, taken),) = await until(http, url, "scrape_samples_scraped > 0", bool)
            lines = (await metrics.render(snapshot())).decode().splitlines()
            assert taken == sum(not line.startswith("#") for line in lines)

    asyncio.run(scenario())
