"""All that /metrics can tell, once each, from the real probes: for the golden list, the dashboards and the rules.

`python -m tests.exported > tests/golden/metrics.txt` renews the list; a name that is gone breaks somebody's dashboard.
"""

import asyncio
import dataclasses
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import probes
from netwatch import core
from netwatch._line_families import line_families
from netwatch.line import Past
from netwatch.metrics import Metrics
from netwatch.model import Check, Outcome, Result, Sample, Settings
from netwatch.traps import Traps
from probes._snmp_profile import names as profile_names
from tests.province import WALL, province
from tests.worlds import inventory

SITE = "dien-bien-phu"  # all is well there
KEYS = {
    "tcp": {"port": 443},
    "dns": {"name": "example.org"},
    "snmp": {"profile": "router"},
    "h323": {"ras_port": 1719},
    "bandwidth": {"contract_bits_per_second": 100e6, "direction": "down"},
}
TRAIN = {"icmp_rtt_seconds": (0.011, 0.012, 0.012, 0.013, 0.02), "icmp_sent": (5.0,), "icmp_received": (5.0,)}


def check(target, kind, name="", site=SITE, **keys):
    probe = probes.get(kind)(**{**KEYS.get(kind, {}), **keys})
    return Check(
        id=f"{site}/{target}/{name or kind}", site=site, target=target, name=name or kind, kind=kind, probe=probe, address="127.0.0.1",
        interval_seconds=10, timeout_seconds=5, retry_seconds=1,
    )  # fmt: skip


def samples(one):
    return tuple(
        Sample(name, TRAIN.get(name, (0.5,)), "1" if metric.instance_label else "") for name, metric in one.probe.metrics().items()
    )


def checks():
    """One check of every kind and profile, on devices that the province has where it has them, and the lines of every site."""
    devices = {"router": "router", "switch": "switch", "wifi-ap": "ap1", "printer": "printer1", "ups": "ups"}
    found = [check(devices.get(profile, profile), "snmp", profile=profile) for profile in profile_names()]
    found += [check("vc", kind) for kind in probes.names() if kind not in {"icmp", "snmp"}]
    found += [check(view.id, "icmp", site=site.site.id) for site in province().sites for view in site.targets if view.up]
    return found


def observe(metrics, run):
    """What every check finds, once more."""
    for one in run:
        metrics.observe(one, Result(check=one.id, at=0, wall=WALL, duration_seconds=0.2, outcome=Outcome.OK, samples=samples(one)))


def snapshot():
    """The province, where a device also says who made it."""
    taken = province()
    own = dataclasses.replace(taken.self_view, backup_wall=WALL)
    return dataclasses.replace(taken, sites=tuple(_known(view) if view.site.id == SITE else view for view in taken.sites), self_view=own)


def _known(view):
    facts = {"vendor": "MikroTik", "model": "RB4011"}
    targets = (dataclasses.replace(one, checks=tuple(dataclasses.replace(c, facts=facts) for c in one.checks)) for one in view.targets)
    return dataclasses.replace(view, targets=tuple(targets))


def of_lines():
    """One line, proved a while ago."""
    world = core.World(inventory=inventory("na-tau"))
    key = ("na-tau", "line", "down")
    world.lines.pasts[key] = (Past(wall=WALL - 3_600, verdict="proved", grade="reflector"),)
    return line_families(world, WALL, {key: ("udp", 13e6)}, {key: 9_000_000}, 0)


def of_traps():
    """A daemon that listens for traps and has heard none."""
    listening = dataclasses.replace(inventory("na-tau"), settings=Settings(trap_listen="127.0.0.1"))
    return Traps(lambda: listening, lambda _check, _source: None, Path("never-read"), wall=lambda: WALL).families()


async def text(metrics):
    more = (*of_lines(), *of_traps())
    return await metrics.render(snapshot(), notifications={("noc", "sent"): 4}, sse_clients=2, revision="abc", more=more)


def golden_lines(written):
    """`name kind label,label`, sorted."""
    lines = set()
    for family in text_string_to_metric_families(written):
        if family.name.startswith("python_"):
            continue
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        suffix = "_total" if family.type == "counter" else ""
        lines.add(f"{family.name}{suffix} {family.type} {','.join(sorted(labels))}".strip())
    return sorted(lines)


def listed():
    async def scenario():
        metrics = Metrics()
        observe(metrics, checks())
        return golden_lines((await text(metrics)).decode())

    return asyncio.run(scenario())


if __name__ == "__main__":
    print("\n".join(listed()))  # noqa: T201  # that is what it is run for
