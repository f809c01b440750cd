"""Small inventories and results for tests of the pure core: time is passed in, nothing is sent."""

from dataclasses import dataclass, field

from netwatch import core
from netwatch.model import Check, Device, Inventory, Line, Outcome, Result, Rule, Sample, Site
from probes import Probe, Reading

WALL = 1_795_000_000.0


@dataclass(kw_only=True, eq=False)
class NoProbe(Probe):
    """Never run: these tests hand in results."""

    async def run(self, target, shared):
        return Reading()


def check(check_id, *, parents=(), interval=10.0, retry=1.0, attempts=3, hard_after=9.0, rules=(), audience="page", fingerprint="1"):
    site, target, name = check_id.split("/")
    return Check(
        id=check_id,
        site=site,
        target=target,
        name=name,
        kind="icmp",
        probe=NoProbe(),
        address="127.0.0.1",
        interval_seconds=interval,
        timeout_seconds=3.0,
        retry_seconds=retry,
        attempts=attempts,
        hard_after_seconds=hard_after,
        rules=tuple(rules),
        parents=tuple(parents),
        audience=audience,
        fingerprint=fingerprint,
    )


def inventory(*sites, rules=(), lines=("line",), changed=()):
    """Each site: lines, a router behind them, a switch and a printer (digest) behind it."""
    places, checks = {}, {}
    for name in sites:
        line_checks = tuple(f"{name}/{line}/icmp" for line in lines)
        for line in line_checks:
            checks[line] = check(line, interval=5.0, fingerprint="2" if line in changed else "1")
        checks[f"{name}/router/icmp"] = check(f"{name}/router/icmp", parents=(line_checks,))
        checks[f"{name}/switch/icmp"] = check(f"{name}/switch/icmp", parents=((f"{name}/router/icmp",),))
        checks[f"{name}/switch/snmp"] = check(f"{name}/switch/snmp", parents=((f"{name}/switch/icmp",),), interval=60.0, retry=10.0)
        printer = f"{name}/printer/snmp"
        checks[printer] = check(printer, parents=((f"{name}/switch/icmp",),), rules=rules, audience="digest", interval=60.0)
        places[name] = Site(
            id=name,
            name=name.title(),
            lines={line: Line(id=line, address="127.0.0.1") for line in lines},
            devices={
                device: Device(id=device, address="127.0.0.1", profile=device, role=device) for device in ("router", "switch", "printer")
            },
        )
    primary = {}
    for item in checks.values():
        primary.setdefault((item.site, item.target), item.id)
    return Inventory(sites=places, checks=checks, primary_checks=primary)


@dataclass
class Story:
    """A world and its clock: tell it what each check answered and read what followed."""

    world: core.World
    at: float = 1000.0
    effects: list = field(default_factory=list)

    def say(self, check_id, outcome=Outcome.OK, *, after=0.0, duration=0.1, samples=(), code=None):
        self.at += after
        result = Result(
            check=check_id,
            at=self.at,
            wall=WALL + self.at,
            duration_seconds=duration,
            outcome=outcome,
            code=code or ("" if outcome is Outcome.OK else "timeout"),
            samples=tuple(samples),
            generation=self.world.generation,
        )
        followed = core.step(self.world, result)
        self.effects.append(followed)
        return followed

    def all_ok(self):
        for check_id in self.world.inventory.checks:
            self.say(check_id, after=0.01)

    def fail(self, check_id, runs=11, every=1.0):
        """Enough failed runs for hard."""
        return [self.say(check_id, Outcome.FAILED, after=every, duration=0.9) for _ in range(runs)]

    @property
    def pages(self):
        return [page for effects in self.effects for page in effects.pages]


def story(*sites, pagers=("noc",), **options):
    return Story(core.World(inventory=inventory(*(sites or ("na-tau",)), **options), pagers=pagers))


def paper(value, instance="1"):
    return Sample("printer_paper_empty", (float(value),), instance)


PAPER = Rule(name="paper", metric="printer_paper_empty", crit=1.0, audience="digest")
