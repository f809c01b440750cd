"""The world at time t: faults become true on time, and answer for lines, devices and whole sites."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.lab.faults import Fault, Scenario, Where
from netwatch.lab.world import WorldModel
from netwatch.model import Anchor
from tests.lab_inventory import inventory


def world(*faults, seed=1):
    return WorldModel(Scenario(name="t", seed=seed, duration_seconds=60, faults=tuple(faults)), inventory())


def fault(kind, at=0.0, site="", tag=None, line="", device="", **values):
    return Fault(at_seconds=at, kind=kind, where=Where(site=site, tag=tag, line=line, device=device), values=values)


def up(made, site, target):
    return made.reachable(site, target).up


def test_a_cut_holds_from_its_time_to_its_restore():
    made = world(fault("cut", 10, "alpha"), fault("restore", 20, "alpha"))
    seen = []
    for now in (9.9, 10, 19.9, 20):
        made.advance(now)
        seen.append((up(made, "alpha", "main"), up(made, "alpha", "printer1"), up(made, "gamma", "main")))
    assert seen == [(True, True, True), (False, False, True), (False, False, True), (True, True, True)]


def test_advance_tells_what_came_true_in_order():
    kill, cut = fault("kill", 5), fault("cut", 3, "alpha")
    made = world(kill, cut)
    assert made.next_change() == 3
    assert made.advance(4) == (cut,)
    assert made.advance(9) == (kill,)
    assert made.next_change() is None


def test_a_site_with_a_backup_stays_reachable_over_it():
    made = world(fault("cut", 0, "beta", line="main"))
    before = made.reachable("beta", "router").delay_seconds
    made.advance(0)
    assert not up(made, "beta", "main")
    assert up(made, "beta", "backup")
    assert made.carrier("beta", "router") == "backup"
    assert made.reachable("beta", "router").delay_seconds > before + 0.02


def test_a_line_may_be_named_by_its_role():
    made = world(fault("cut", 0, "beta", line="primary"))
    made.advance(0)
    assert (up(made, "beta", "main"), up(made, "beta", "backup")) == (False, True)


def test_cutting_a_whole_site_cuts_all_its_lines():
    made = world(fault("cut", 0, "beta"))
    made.advance(0)
    assert not any(up(made, "beta", target) for target in ("main", "backup", "router"))


def test_cutting_a_ring_spares_backups_and_other_rings():
    made = world(fault("cut", 0, tag=("ring", "north")))
    made.advance(0)
    assert [up(made, site, "main") for site in ("alpha", "beta", "gamma")] == [False, False, True]
    assert up(made, "beta", "backup")


def test_cutting_a_carrier_cuts_just_its_lines():
    made = world(fault("cut", 0, tag=("carrier", "viettel")))
    made.advance(0)
    assert [up(made, "beta", line) for line in ("main", "backup")] == [True, False]
    assert up(made, "alpha", "main")


def test_a_district_is_a_tag():
    made = world(fault("cut", 0, tag=("district", "south")))
    made.advance(0)
    assert (up(made, "gamma", "main"), up(made, "alpha", "main")) == (False, True)


def test_all_sites_is_a_star():
    made = world(fault("loss", 0, "*", ratio=0.05))
    made.advance(0)
    assert {round(made.reachable(site, "main").loss_ratio, 9) for site in ("alpha", "beta", "gamma")} == {0.05}


def test_loss_of_both_directions_adds_up():
    made = world(fault("loss", 0, "alpha", ratio=0.5, direction="both"))
    made.advance(0)
    assert made.reachable("alpha", "main").loss_ratio == pytest.approx(0.75)


def test_a_dead_switch_hides_what_hangs_on_it_and_not_the_router():
    made = world(fault("power", 0, "alpha", device="switch", state="off"))
    made.advance(0)
    assert [up(made, "alpha", target) for target in ("main", "router", "switch", "ap1")] == [True, True, False, False]
    assert made.device("alpha", "ap1").powered


def test_a_dark_site_is_silent_and_boots_when_power_returns():
    made = world(fault("power", 5, "alpha", state="off"), fault("power", 50, "alpha", state="on"))
    made.advance(5)
    assert made.dark("alpha")
    assert not up(made, "alpha", "main")
    assert not made.alive("alpha", "router")
    made.advance(50)
    assert up(made, "alpha", "ups")
    assert made.device("alpha", "router").booted_at == 50


def test_power_that_returns_ends_life_on_the_battery_and_an_empty_one_is_empty():
    made = world(fault("ups", 10, "alpha", state="battery", lasts=20), fault("power", 50, "alpha", state="on"))
    made.advance(40)
    assert made.device("alpha", "ups").charge_ratio(40) == 0.0
    made.advance(50)
    assert not made.device("alpha", "ups").on_battery


def test_the_primary_line_comes_first_however_the_inventory_lists_them():
    shipped = inventory()
    beta = shipped.sites["beta"]
    turned = replace(beta, lines=dict(reversed(beta.lines.items())))
    made = WorldModel(Scenario(name="t", duration_seconds=60), replace(shipped, sites={"beta": turned}))
    assert made.carrier("beta", "router") == "main"


def test_each_group_of_parents_must_have_one_that_stands():
    shipped = inventory()
    alpha = shipped.sites["alpha"]
    vc = replace(alpha.devices["vc"], parents=(("switch", "ap1"), ("ups",)))
    site = replace(alpha, devices={**alpha.devices, "vc": vc})

    def reached(*dead):
        off = tuple(fault("power", 0, "alpha", device=device, state="off") for device in dead)
        made = WorldModel(Scenario(name="t", duration_seconds=60, faults=off), replace(shipped, sites={"alpha": site}))
        made.advance(0)
        return up(made, "alpha", "vc")

    assert reached()
    assert reached("ap1")
    assert not reached("ups")
    assert not reached("switch")


def test_a_reboot_takes_its_time_and_resets_uptime():
    made = world(fault("reboot", 10, "alpha", device="router", takes=30))
    made.advance(39)
    assert not up(made, "alpha", "router")
    made.advance(40)
    assert up(made, "alpha", "router")
    assert made.device("alpha", "router").booted_at == 40


def test_a_device_switched_off_while_it_boots_stays_off():
    made = world(fault("reboot", 10, "alpha", device="router", takes=30), fault("power", 20, "alpha", device="router", state="off"))
    made.advance(99)
    assert not up(made, "alpha", "router")


def test_an_empty_battery_darkens_the_site_until_mains_return():
    made = world(fault("ups", 10, "alpha", state="battery", lasts=20), fault("ups", 60, "alpha", state="mains"))
    made.advance(29)
    assert made.device("alpha", "ups").on_battery
    assert made.device("alpha", "ups").charge_ratio(20) == 0.5
    assert up(made, "alpha", "main")
    made.advance(30)
    assert made.dark("alpha")
    made.advance(60)
    assert up(made, "alpha", "main")
    assert not made.device("alpha", "ups").on_battery


def test_mains_that_return_in_time_leave_the_site_alight():
    made = world(fault("ups", 10, "alpha", state="battery", lasts=20), fault("ups", 20, "alpha", state="mains"))
    made.advance(99)
    assert up(made, "alpha", "main")


def test_a_second_outage_starts_a_new_countdown():
    made = world(
        fault("ups", 10, "alpha", state="battery", lasts=20),
        fault("ups", 20, "alpha", state="mains"),
        fault("ups", 25, "alpha", state="battery", lasts=20),
    )
    made.advance(44)
    assert up(made, "alpha", "main")
    made.advance(45)
    assert made.dark("alpha")


def test_without_the_own_uplink_nothing_answers_and_nothing_is_broken():
    made = world(fault("uplink", 0, state="down"), fault("uplink", 9, state="up"))
    made.advance(0)
    assert not any(up(made, site, "main") for site in ("alpha", "beta", "gamma"))
    made.advance(9)
    assert up(made, "alpha", "main")


def test_paper_runs_out_in_printers_only():
    made = world(fault("paper", 0, "alpha", state="out"))
    made.advance(0)
    assert not made.device("alpha", "printer1").paper
    assert made.device("alpha", "router").paper
    assert made.device("beta", "printer1").paper


def test_restoring_a_device_heals_it_and_keeps_its_uptime():
    made = world(fault("paper", 0, "alpha", state="out"), fault("restore", 1, "alpha", device="printer1"))
    booted = made.device("alpha", "printer1").booted_at
    made.advance(0)
    assert made.troubles() == ("alpha/printer1: paper out",)
    made.advance(1)
    assert made.troubles() == ()
    assert made.device("alpha", "printer1").booted_at == booted


def test_troubles_name_what_is_wrong():
    made = world(fault("cut", 0, "alpha"), fault("loss", 0, "gamma", ratio=0.3), fault("uplink", 0, state="down"))
    made.advance(0)
    assert made.troubles() == ("uplink: down", "alpha/main: cut", "gamma/main: loss_down_ratio=0.3")


KINDS = st.sampled_from(
    [
        ("cut", {}),
        ("restore", {}),
        ("loss", {"ratio": 0.2}),
        ("power", {"state": "off"}),
        ("power", {"state": "on"}),
        ("ups", {"state": "battery", "lasts": 5.0}),
        ("ups", {"state": "mains"}),
        ("uplink", {"state": "down"}),
        ("uplink", {"state": "up"}),
    ]
)
FAULTS = st.lists(
    st.builds(lambda at, site, kind: fault(kind[0], at, site, **kind[1]), st.floats(0, 60), st.sampled_from(["alpha", "beta", "*"]), KINDS),
    max_size=12,
)


@given(FAULTS, st.lists(st.floats(0, 80), max_size=8))
def test_the_way_time_is_cut_up_changes_nothing(faults, steps):
    small, large = world(*faults), world(*faults)
    for step in sorted(steps):
        small.advance(step)
    small.advance(90)
    large.advance(90)
    assert small.troubles() == large.troubles()
    targets = [(site.id, target) for site in inventory().sites.values() for target in (*site.lines, *site.devices)]
    assert [small.reachable(*target) for target in targets] == [large.reachable(*target) for target in targets]


def test_another_seed_gives_another_world_and_the_same_seed_the_same():
    delays = [world(seed=seed).reachable("alpha", "main").delay_seconds for seed in (1, 1, 2)]
    assert delays[0] == delays[1] != delays[2]


def with_anchors():
    """Two anchors of their own, at a place that no site is."""
    watched = inventory()
    checks = {
        f"anchors/{name}/icmp": replace(watched.checks["alpha/vc/sip"], id=f"anchors/{name}/icmp", site="anchors", target=name)
        for name in ("near", "far")
    }
    anchors = tuple(Anchor(id=name, check=f"anchors/{name}/icmp", own=True) for name in ("near", "far"))
    return replace(watched, checks=watched.checks | checks, anchors=anchors)


def test_an_anchor_is_lost_alone_or_with_our_own_uplink():
    made = WorldModel(Scenario(name="t", duration_seconds=60), with_anchors())
    made.apply(fault("anchor", name="near", state="down"))
    assert (up(made, "anchors", "near"), up(made, "anchors", "far"), up(made, "alpha", "main")) == (False, True, True)
    assert "anchor near: down" in made.troubles()
    made.apply(fault("anchor", name="near", state="up"))
    made.apply(fault("uplink", state="down"))
    assert not any(up(made, "anchors", name) for name in ("near", "far"))
    made.apply(fault("uplink", state="up"))
    assert all(up(made, "anchors", name) for name in ("near", "far"))


def test_a_cut_of_everything_spares_the_anchors():
    made = WorldModel(Scenario(name="t", duration_seconds=60), with_anchors())
    made.apply(fault("cut", site="*"))
    assert (up(made, "anchors", "near"), up(made, "alpha", "main")) == (True, False)


@pytest.mark.parametrize("written", ["viettel", "Viettel", "VIETTEL"])
def test_a_carrier_is_the_same_with_capitals_and_without(written):
    made = world(fault("cut", tag=("carrier", written)))
    made.advance(0)
    assert (up(made, "beta", "backup"), up(made, "beta", "main"), up(made, "alpha", "main")) == (False, True, True)


def test_mains_of_a_feeder_run_the_batteries_down_each_in_its_own_time():
    made = world(fault("power", tag=("feeder", "f1"), state="off"))
    made.advance(0)
    assert all(made.device(site, "ups").on_battery and not made.dark(site) for site in ("alpha", "beta", "gamma"))
    dark_at = {}
    while len(dark_at) < 3:
        now = made.next_change()
        made.advance(now)
        dark_at |= {site: now for site in ("alpha", "beta", "gamma") if made.dark(site) and site not in dark_at}
    assert len(set(dark_at.values())) == 3
    assert all(1200 <= at <= 3600 for at in dark_at.values())
    made.apply(fault("power", tag=("feeder", "f1"), state="on"))
    assert not any(made.dark(site) or made.device(site, "ups").on_battery for site in ("alpha", "beta", "gamma"))


def test_without_a_battery_a_feeder_takes_its_site_along_and_batteries_may_be_told_how_long_to_last():
    watched = inventory()
    bare = replace(watched.sites["gamma"], devices={k: v for k, v in watched.sites["gamma"].devices.items() if k != "ups"})
    watched = replace(watched, sites={**watched.sites, "gamma": bare})
    made = WorldModel(Scenario(name="t", duration_seconds=60), watched)
    made.apply(fault("power", tag=("feeder", "f1"), state="off", lasts=100.0))
    assert (made.dark("gamma"), made.dark("alpha")) == (True, False)
    made.advance(99.9)
    assert not made.dark("alpha")
    made.advance(100.0)
    assert made.dark("alpha")
    made.apply(fault("power", tag=("feeder", "f1"), state="on"))
    assert not made.dark("gamma")


def test_traffic_on_a_line_is_counted_by_its_router_until_the_line_is_restored():
    made = world(fault("traffic", at=10, site="alpha", line="main", down=8e6), fault("restore", at=20, site="alpha", line="main"))
    made.advance(15)
    assert made.line("alpha", "main").traffic_down_bits_per_second == 8e6
    assert made.device("alpha", "router").carried_bytes("primary", "down", 15) == 5e6
    assert made.device("alpha", "router").carried_bytes("primary", "up", 15) == 0
    made.advance(30)
    assert made.line("alpha", "main").traffic_down_bits_per_second == 0
    assert made.device("alpha", "router").carried_bytes("primary", "down", 30) == 10e6


def test_a_line_carries_no_more_of_other_peoples_traffic_than_it_can():
    made = world(fault("rate", site="alpha", line="main", up=8e6), fault("traffic", at=1, site="alpha", line="main", up=80e6))
    made.advance(11)
    assert made.device("alpha", "router").carried_bytes("primary", "up", 11) == 10e6
