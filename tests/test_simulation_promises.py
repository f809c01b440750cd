"""Whatever happens at a site, and to netwatch meanwhile: who is paged for what, and that it ends when all is well again."""

from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwatch import inventory
from netwatch.lab.faults import Fault, Scenario, Where
from netwatch.lab.simulation import Simulation, narrow
from netwatch.lab.stage import DEMO_ENVIRONMENT

ROOT = Path(__file__).parent.parent
SITE = "na-tau"  # two lines
HEAL_SECONDS, LENGTH_SECONDS = 300.0, 620.0
MEMORY_SECONDS = 45.0  # a page may come so long after its fault


@cache
def watched():
    everything = inventory.load(ROOT / "inventory.yaml", environment=DEMO_ENVIRONMENT, pagers={})
    return narrow(everything, Scenario(name="site", duration_seconds=0.0, sites=(SITE,)))


LINES, DEVICES = ("main", "backup"), ("router", "switch", "vc", "printer1")


def fault(at, kind, name, good):
    if kind in {"kill", "reload"}:
        return Fault(at_seconds=at, kind=kind)
    if kind == "line":
        return Fault(at_seconds=at, kind="restore" if good else "cut", where=Where(site=SITE, line=LINES[name % 2]))
    return Fault(at_seconds=at, kind="power", where=Where(site=SITE, device=DEVICES[name]), values={"state": "on" if good else "off"})


faults = st.lists(
    st.builds(
        fault,
        st.one_of(st.floats(15, HEAL_SECONDS - 1), st.floats(265, HEAL_SECONDS - 1)),
        st.sampled_from(["line", "line", "device", "device", "kill", "reload"]),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=12,
)


def healed():
    lines = [Fault(at_seconds=HEAL_SECONDS, kind="restore", where=Where(site=SITE))]
    return lines + [
        Fault(at_seconds=HEAL_SECONDS, kind="power", where=Where(site=SITE, device=device), values={"state": "on"}) for device in DEVICES
    ]


def bad_times(happened, matches):
    """When something was cut or off: from, until."""
    since, times = None, []
    for one in happened:
        if not matches(one):
            continue
        bad = one.kind == "cut" or one.word("state") == "off"
        if bad and since is None:
            since = one.at_seconds
        elif not bad and since is not None:
            times.append((since, one.at_seconds))
            since = None
    return times if since is None else [*times, (since, LENGTH_SECONDS)]


def was_bad(times, at):
    return any(since <= at and until >= at - MEMORY_SECONDS for since, until in times)


def play(chosen, seed=1, heal=True):
    happened = sorted([*chosen, *(healed() if heal else [])], key=lambda one: one.at_seconds)
    scenario = Scenario(name="any", seed=seed, duration_seconds=LENGTH_SECONDS, sites=(SITE,), faults=tuple(happened))
    simulation = Simulation(scenario, watched())
    return happened, simulation.run(), simulation


@given(faults, st.integers(1, 1000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_only_what_failed_is_paged_and_all_of_it_ends_when_all_is_well(chosen, seed):
    happened, report, simulation = play(chosen, seed)
    lines = {line: bad_times(happened, lambda one, line=line: one.where.line == line or one.where == Where(site=SITE)) for line in LINES}
    devices = {name: bad_times(happened, lambda one, name=name: one.where.device == name) for name in DEVICES}
    still_open = {}
    for at, page in report.pages:
        key, cause = page.incident.key, page.incident.cause
        if page.kind == "open":
            assert key not in still_open
            still_open[key] = page
            name = cause.name.rpartition("/")[2]
            if cause.type == "site":
                assert all(was_bad(times, at) for times in lines.values())
            else:
                assert was_bad((lines if cause.type == "line" else devices).get(name, []), at), (at, cause)
        elif page.kind == "recover":
            assert still_open.pop(key).incident.id == page.incident.id
            assert page.incident.close_reason == "recovered"
    assert not still_open
    assert not simulation.world.incidents


@given(faults, st.integers(1, 1000))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_stays_broken_stays_paged(chosen, seed):
    happened, report, _ = play(chosen, seed, heal=False)
    state = {}
    for one in happened:
        for name in (one.where.line, one.where.device):
            if name:
                state[name] = one.kind == "cut" or one.word("state") == "off"
    last = {page.incident.id: page for _, page in report.pages}  # an incident may become another's cause, and keeps its key
    standing = {(page.incident.cause.type, page.incident.cause.name) for page in last.values() if page.kind != "recover"}
    if state.get("main") and state.get("backup"):
        assert ("site", SITE) in standing
        return
    for line in LINES:
        assert (("line", f"{SITE}/{line}") in standing) == bool(state.get(line))
    for device, parents in {"router": (), "switch": ("router",), "vc": ("router", "switch")}.items():
        if state.get(device) and not any(state.get(parent) for parent in parents):
            assert ("device", f"{SITE}/{device}") in standing
