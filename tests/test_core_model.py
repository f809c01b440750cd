"""Whatever fails, whatever people ask for, whoever restarts or reloads, in any order: pagers know what is so, and of every end."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from netwatch import core
from netwatch.core._sight import UPLINK_KEY
from tests.core_machine import DEVICES, LINES, SITES, Machine, watched

HELD_SECONDS = 700.0  # what flapped stays open this long after it is well
KNOWN_SECONDS = 60.0  # by then every fault has been found and told of
sites, lines, devices = st.sampled_from(SITES), st.sampled_from(LINES), st.sampled_from(DEVICES)
pagers = st.sampled_from([("noc",), ("noc", "mail"), ("mail",), ()])


class Netwatch(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.netwatch = Machine()
        self.netwatch.pass_time(15.0)

    # --- faults

    @rule(site=sites, both=st.booleans(), line=lines)
    def cut(self, site, both, line):
        self.netwatch.cut |= {(site, one) for one in (LINES if both else (line,))}

    @rule(line=lines)
    def cut_everywhere(self, line):
        self.netwatch.cut |= {(site, line) for site in SITES}

    @rule(site=sites)
    def mend(self, site):
        self.netwatch.cut -= {(site, line) for line in LINES}

    @rule(site=sites, device=devices, on=st.booleans())
    def power(self, site, device, on):
        (self.netwatch.off.discard if on else self.netwatch.off.add)((site, device))

    @rule()
    def heal(self):
        self.netwatch.heal()

    @rule(seconds=st.sampled_from([0.3, 1.0, 4.0, 11.0, 20.0, 60.0]))
    def pass_time(self, seconds):
        self.netwatch.pass_time(seconds)

    # --- people

    @rule(which=st.integers(0, 5), action=st.sampled_from(["acknowledge", "unacknowledge", "note"]))
    def say(self, which, action):
        numbers = [incident.id for incident in self.netwatch.world.incidents.values()] or [999]
        self.netwatch.ask(action, incident=numbers[which % len(numbers)], note="đã gọi VNPT")

    @rule(site=sites, seconds=st.sampled_from([5.0, 60.0, 600.0]), action=st.sampled_from(["silence", "maintenance"]))
    def window(self, site, seconds, action):
        self.netwatch.ask(action, matcher=f"site={site}", until=self.netwatch.wall + seconds)

    @precondition(lambda self: self.netwatch.world.windows)
    @rule(which=st.integers(0, 5))
    def end_window(self, which):
        windows = list(self.netwatch.world.windows)
        self.netwatch.ask("end", window=windows[which % len(windows)])

    # --- netwatch itself

    @rule(away=st.sampled_from([0.0, 2.0, 40.0]), clock=st.sampled_from([0.0, 0.0, -3_600.0, 3_600.0]))
    def kill(self, away, clock):
        self.netwatch.kill(away, clock)

    @rule(kept=st.sets(sites, min_size=1), changed=st.booleans(), names=pagers)
    def reload(self, kept, changed, names):
        machine = self.netwatch
        gone = set(machine.world.pagers).difference(names)
        renewed = [f"{site}/line/icmp" for site in kept] if changed else ()
        machine.drain()
        machine.reload(watched(sorted(kept), renewed), names)
        for name in gone:  # whoever took a pager away knows that it is told nothing more
            machine.receivers.pop(name, None)
            machine.outbox = [page for page in machine.outbox if page.pager != name]

    # --- delivery

    @rule(lane=st.integers(0, 7), marked=st.booleans())
    def deliver(self, lane, marked):
        self.netwatch.deliver(lane, marked=marked)

    # --- what holds

    @invariant()
    def no_key_is_used_twice(self):
        world = self.netwatch.world
        numbers = [incident.id for incident in world.incidents.values()]
        assert len(numbers) == len(set(numbers))
        assert all(key == incident.key and incident.closed is None for key, incident in world.incidents.items())

    @rule()
    def pagers_know_what_is_so(self):
        self.netwatch.drain()
        world = self.netwatch.world
        for name in world.pagers:
            told = {incident.key: incident.id for incident in world.incidents.values() if name in incident.told}
            assert self.netwatch.receivers[name].view == told

    @rule()
    def what_lasts_is_known_and_told(self):
        machine = self.netwatch
        machine.pass_time(KNOWN_SECONDS)
        world = machine.world
        for incident in world.incidents.values():
            assert incident.announced or incident.audience != "page" or core.muted(world, incident, machine.wall), incident
        if UPLINK_KEY not in world.incidents:
            blamed = {member.check for incident in world.incidents.values() for member in incident.members}
            dead = {f"{site}/{line}/icmp" for site, line in machine.cut} & world.inventory.checks.keys()
            assert dead <= blamed
        self.pagers_know_what_is_so()

    def teardown(self):
        """All is well again, and stays so: nothing is open, here or at any pager, and every end was told to whoever was told."""
        machine = self.netwatch
        machine.heal()
        machine.pass_time(HELD_SECONDS)
        machine.drain()
        assert not machine.world.incidents
        for receiver in machine.receivers.values():
            assert receiver.view == {}
            assert receiver.opened == receiver.ended


TestNetwatch = Netwatch.TestCase
TestNetwatch.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
