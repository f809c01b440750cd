"""What blackbox_exporter would say: `/probe` from the last result, and `/sd/http` with all there is to ask for.

A stock blackbox scrape job works once its address is netwatch's. Asking starts nothing: it is answered from what is known, and only
for what the inventory has. A run that failed for a fault of our own is no `probe_success 0` but a failed scrape.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aiohttp import web

from netwatch._metric_families import Family
from netwatch.model import Outcome
from netwatch.snapshot import CheckView, SiteView, Snapshot, TargetView
from netwatch.web.api import find_site
from netwatch.web.backend import BACKEND

__all__ = ["Refused", "add_routes", "discovered", "exposition", "find"]

STALE_INTERVALS = 2.0
HTTP_PHASES = ("resolve", "connect", "tls", "processing", "transfer")
LONGEST_SHOWN = 200
# As blackbox_exporter 0.23 words them: who joins both sources gets one help text.
HELP = {
    "probe_dns_answer_rrs": "Returns number of entries in the answer resource record list",
    "probe_dns_duration_seconds": "Duration of DNS request by phase",
    "probe_dns_lookup_time_seconds": "Returns the time taken for probe dns lookup in seconds",
    "probe_dns_query_succeeded": "Displays whether or not the query was executed successfully",
    "probe_duration_seconds": "Returns how long the probe took to complete in seconds",
    "probe_failed_due_to_regex": "Indicates if probe failed due to regex",
    "probe_http_duration_seconds": "Duration of http request by phase, summed over all redirects",
    "probe_http_redirects": "The number of redirects",
    "probe_http_ssl": "Indicates if SSL was used for the final redirect",
    "probe_http_status_code": "Response HTTP status code",
    "probe_http_uncompressed_body_length": "Length of uncompressed response body",
    "probe_icmp_duration_seconds": "Duration of icmp request by phase",
    "probe_ip_protocol": "Specifies whether probe ip protocol is IP4 or IP6",
    "probe_ssl_earliest_cert_expiry": "Returns last SSL chain expiry in unixtime",
    "probe_success": "Displays whether or not the probe was a success",
    "probe_tls_version_info": "Returns the TLS version used or NaN when unknown",
}


class Refused(Exception):
    """There is nothing to answer with. `status` is HTTP's; the text says what to do."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


async def probe(request: web.Request) -> web.Response:
    backend = request.app[BACKEND]
    snapshot = backend.snapshot()
    asked, module = request.query.get("target", ""), request.query.get("module", "")
    try:
        target, check = find(snapshot, asked, module, backend.inventory().primary_check)
        body = exposition(target, check, snapshot.wall)
    except Refused as refused:
        return web.Response(status=refused.status, text=f"{refused}\n")
    return web.Response(body=body.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def discovery(request: web.Request) -> web.Response:
    return web.json_response(discovered(request.app[BACKEND].snapshot(), request.query.get("module", "")))


def add_routes(app: web.Application) -> None:
    app.router.add_get("/probe", probe)
    app.router.add_get("/sd/http", discovery)


def find(snapshot: Snapshot, asked: str, module: str, primary: Callable[[str, str], str | None]) -> tuple[TargetView, CheckView]:
    """The check that `target=site/device` or `target=site/device/check` and `module` mean together. Raises Refused."""
    if not asked:
        raise Refused(400, "target is missing; /sd/http lists them")
    slug, _, rest = asked.partition("/")
    device, _, name = rest.partition("/")
    site = find_site(snapshot, slug)
    target = next((one for one in site.targets if one.id == device), None) if site else None
    if target is None:
        raise Refused(404, f"{_shown(asked)} is not in the inventory; a target is SITE/DEVICE, and /sd/http lists them")
    named: Sequence[CheckView] = [one for one in target.checks if one.name == name] if name else target.checks
    if not module:
        first = primary(slug, device)
        chosen: Sequence[CheckView] = named if name else [one for one in named if one.id == first]
    else:
        chosen = _matching(named, module)
    if not chosen:
        there = ", ".join(one.name for one in target.checks) or "none"
        raise Refused(404, f"{_shown(asked)} has no check {_shown(module)}; its checks: {there}")
    if len(chosen) > 1:
        choices = " or ".join(one.name for one in chosen)
        raise Refused(400, f"{_shown(asked)} has more than one {_shown(module)} check; ask for module {choices}")
    return target, chosen[0]


def _matching(checks: Sequence[CheckView], module: str) -> Sequence[CheckView]:
    """By name, else by kind, which blackbox's usual modules begin with: `http_2xx`, `tcp_connect`."""
    for wanted in (
        [one for one in checks if one.name == module],
        [one for one in checks if one.kind == module.partition("_")[0]],
    ):
        if wanted:
            return wanted
    return ()


def exposition(target: TargetView, check: CheckView, wall: float) -> str:
    """The text of one answer. What is older than two intervals is no success and tells no figures. Raises Refused."""
    if check.last_wall is None or check.outcome is None:
        raise Refused(503, f"{check.id} has not run yet")
    if wall - (check.last_wall + check.duration_seconds) > STALE_INTERVALS * check.interval_seconds:
        families = [_gauge("probe_success", 0.0)]
    elif check.outcome is Outcome.ERROR:
        raise Refused(503, f"{check.id} could not be run ({_shown(check.code)}): that says nothing of the target")
    else:
        families = [*_common(target, check), *_OF_KIND.get(check.kind, _nothing)(check)]
    return "".join(line for family in families for line in family.lines())


def _common(target: TargetView, check: CheckView) -> Iterator[Family]:
    yield _gauge("probe_success", float(check.outcome is Outcome.OK))
    yield _gauge("probe_duration_seconds", check.duration_seconds)
    try:
        yield _gauge("probe_ip_protocol", float(ipaddress.ip_address(target.address).version))
    except ValueError:
        return  # a name: which address it led to is not kept
    yield _gauge("probe_dns_lookup_time_seconds", 0.0)


def _icmp(check: CheckView) -> Iterator[Family]:
    """A train's round trip is its mean; 0 where nothing came back, as blackbox has it."""
    values = next((one.values for one in check.samples if one.name == "icmp_rtt_seconds"), ())
    rtt_seconds = sum(values) / len(values) if values else 0.0
    yield _phases("probe_icmp_duration_seconds", {"resolve": 0.0, "setup": 0.0, "rtt": rtt_seconds})


def _tcp(check: CheckView) -> Iterator[Family]:
    del check
    yield _gauge("probe_failed_due_to_regex", 0.0)


def _http(check: CheckView) -> Iterator[Family]:
    values = {(one.name, one.instance): one.values[-1] for one in check.samples if one.values}
    seconds = {phase: values.get(("http_duration_seconds", phase), 0.0) for phase in HTTP_PHASES}
    yield _phases("probe_http_duration_seconds", seconds)
    yield _gauge("probe_failed_due_to_regex", float(check.code == "body_mismatch"))
    yield _gauge("probe_http_ssl", float("tls_version" in check.facts))
    yield _gauge("probe_http_status_code", values.get(("http_status_code", ""), 0.0))
    yield _gauge("probe_http_redirects", values.get(("http_redirects", ""), 0.0))
    yield _gauge("probe_http_uncompressed_body_length", values.get(("http_response_bytes", ""), 0.0))
    yield from _tls(check)


def _tls(check: CheckView) -> Iterator[Family]:
    """Of the server's own certificate; blackbox looks at the whole chain."""
    if version := check.facts.get("tls_version", "").replace("TLSv", "TLS "):
        yield Family("probe_tls_version_info", "gauge", HELP["probe_tls_version_info"], [({"version": version}, 1.0)])
    try:
        ends = dt.datetime.fromisoformat(check.facts.get("tls_not_after", ""))
    except ValueError:
        return
    yield _gauge("probe_ssl_earliest_cert_expiry", ends.timestamp())


def _dns(check: CheckView) -> Iterator[Family]:
    values = {one.name: one.values[-1] for one in check.samples if one.values}
    yield _phases("probe_dns_duration_seconds", {"resolve": 0.0, "connect": 0.0, "request": values.get("dns_lookup_seconds", 0.0)})
    yield _gauge("probe_dns_query_succeeded", float("dns_lookup_seconds" in values))
    yield _gauge("probe_dns_answer_rrs", values.get("dns_answers", 0.0))


def _nothing(check: CheckView) -> Iterator[Family]:
    del check
    return iter(())


_OF_KIND: Mapping[str, Callable[[CheckView], Iterator[Family]]] = {"icmp": _icmp, "tcp": _tcp, "http": _http, "tls": _tls, "dns": _dns}


def _gauge(name: str, value: float) -> Family:
    return Family(name, "gauge", HELP[name], [({}, value)])


def _phases(name: str, seconds: Mapping[str, float]) -> Family:
    return Family(name, "gauge", HELP[name], [({"phase": phase}, value) for phase, value in sorted(seconds.items())])


def discovered(snapshot: Snapshot, module: str) -> list[dict[str, Any]]:
    """For `http_sd_configs`: every line and device, or those that `module` can be asked of.

    A device with several checks that `module` means is listed once for each, as `site/device/check`.
    """
    groups = []
    for site in snapshot.sites:
        for target in site.targets:
            matching = _matching(target.checks, module) if module else ()
            labels = _labels(site, target)
            if len(matching) > 1:
                groups += [{"targets": [check.id], "labels": labels} for check in matching]
            elif matching or not module:
                groups.append({"targets": [f"{target.site}/{target.id}"], "labels": labels})
    return groups


def _labels(site: SiteView, target: TargetView) -> dict[str, str]:
    about = {
        "site": target.site,
        "name": site.site.name,
        "site_kind": site.site.kind,
        "code": site.site.code,
        "district": site.site.district,
        "device": target.id,
        "kind": target.kind,
        "role": target.role if target.line is None else "line",
        "label": target.label,
        "profile": target.profile,
        "address": target.address,
        "modules": f",{','.join(check.name for check in target.checks)}," if target.checks else "",
    }
    return {f"__meta_netwatch_{name}": value for name, value in about.items() if value}


def _shown(text: str) -> str:
    return repr(text[:LONGEST_SHOWN])
