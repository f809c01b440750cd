"""inventory.yaml to Checks: what is shipped, what is built, what a reload changes."""

import dataclasses
import datetime as dt
import json
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from netwatch import inventory, roster
from netwatch.inventory._communes import communes, slug
from netwatch.model import PagerSettings, Secret
from tests.inventories import HEAD, ROLES, compose, load, refused
from tests.pager_services import TELEGRAM_TOKEN, ZALO_TOKEN

SHIPPED = Path(__file__).parent.parent / "inventory.yaml"
ENVIRONMENT = {"NETWATCH_SNMP_COMMUNITY": "hush-hush"}


@pytest.fixture(scope="module")
def shipped():
    return inventory.load(SHIPPED, environment=ENVIRONMENT)


def test_the_45_communes_are_complete():
    found = communes().values()
    assert len(found) == 45
    assert sum(one.full_name.startswith("Phường") for one in found) == 3
    assert len({one.slug for one in found}) == len({one.code for one in found}) == len({one.tile for one in found}) == 45
    for one in found:
        assert one.slug == slug(one.name)
        assert one.full_name.endswith(one.name)
        assert one.code.isdigit()
        assert len(one.code) == 5
        assert 20.8 < one.latitude < 22.6
        assert 102.1 < one.longitude < 103.6
        assert 0 <= one.tile[0] < 8
        assert 0 <= one.tile[1] < 10
        assert one.office
    assert communes()["03356"].office == "Trụ sở: UBND xã Pom Lót cũ"


def test_the_shipped_file_has_all_communes_and_three_hubs_and_warns_only_of_its_plan(shipped):
    assert [warning.split(": ")[1] for warning in shipped.warnings] == ["plan.site_net"]
    assert {site.code for site in shipped.sites.values() if site.kind == "commune"} == set(communes())
    assert [site.id for site in shipped.sites.values() if site.kind == "hub"] == ["dau-tinh", "pexip", "ha-noi"]
    assert shipped.demo_plan
    assert all(site.tags["ring"] and site.tags["feeder"] for site in shipped.sites.values() if site.kind == "commune")
    assert all(site.contact for site in shipped.sites.values())


def test_every_example_in_a_comment_of_the_shipped_file_can_be_put_in_force(tmp_path):
    head, pagers, rest = SHIPPED.read_text("utf-8").partition("\npagers: ")
    (tested,) = re.findall(r"^#   (line: .*)$", rest, flags=re.MULTILINE)
    head = re.sub(r"^  line: .*$", f"  {tested}", head, flags=re.MULTILINE)
    text = re.sub(r"^#(?=  (?! line:)|duty:|line_tests:)", "", pagers + rest, flags=re.MULTILINE)
    text = re.sub(r"^(pagers|maintenance|meetings): (\{\}|\[\])", r"\1:", text, flags=re.MULTILINE)
    (tmp_path / "inventory.yaml").write_text(head + text, "utf-8")
    secrets = {"NETWATCH_WEBHOOK_SECRET": "whsec_" + "A" * 40, "ZALO_TOKEN": ZALO_TOKEN, "TELEGRAM_TOKEN": TELEGRAM_TOKEN}
    found = inventory.load(tmp_path / "inventory.yaml", environment={"NETWATCH_SNMP_COMMUNITY": "x", "NETWATCH_LINE_TOKEN": "x", **secrets})
    without_kiosk = "defaults.line.test.device"  # a hub has none
    assert [warning.split(": ")[1] for warning in found.warnings] == ["plan.site_net", without_kiosk]
    assert list(found.pagers) == ["alertmanager", "tong-dai", "truc-zalo", "nhom-truc", "modem"]
    assert [person.id for person in found.duty.people] == ["an", "binh"]
    assert [anchor.id for anchor in found.anchors] == ["ha-noi", "vnpt"]
    assert len(found.maintenance) == len(found.meetings) == 2
    assert found.sites["na-tau"].lines[next(iter(found.sites["na-tau"].lines))].test is not None
    assert found.line_tests.head_room == {"uplink": 500e6, "ring": 200e6}
    wall = dt.datetime(2026, 12, 1, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))
    assert roster.check(found.duty, wall.timestamp(), wall.timestamp() + 366 * 86_400, wall.tzinfo) == ()


def test_an_anchor_is_meant_to_be_outside_the_plan_and_a_device_is_not(tmp_path):
    text = compose(more="anchors: [{name: far, address: 192.168.77.1, carrier: VNPT}]\n")
    assert load(tmp_path, text).warnings == ()
    stray = compose('sites:\n  na-tau: {n: 34, code: "03316", devices: {pc: {address: 192.168.77.2}}}\n', more="")
    (warning,) = load(tmp_path, stray).warnings
    assert "192.168.77.2" in warning


def test_a_site_knows_its_names_place_and_office_by_its_code(shipped):
    site = shipped.sites["na-tau"]
    assert (site.name, site.full_name, site.code, site.district) == ("Nà Tấu", "Xã Nà Tấu", "03316", "Thành phố Điện Biên Phủ")
    assert (site.latitude, site.longitude, site.tile) == (21.5724, 103.154, (5, 5))
    assert site.office == "Trụ sở: UBND xã Nà Tấu cũ"
    assert site.tags["carrier"] == "vnpt"
    assert site.lines["main"].contract_down_bits_per_second == 100e6
    assert (site.lines["backup"].role, site.lines["backup"].metered, site.lines["backup"].carrier) == ("backup", True, "Viettel")
    assert site.lines["backup"].contract_down_bits_per_second == 0, "what is said of lines in general is meant for the main one"


def test_a_line_is_watched_as_the_design_says(shipped):
    check = shipped.checks["na-tau/main/icmp"]
    assert (check.address, check.kind, check.parents, check.audience) == ("127.45.34.254", "icmp", (), "page")
    assert (check.interval_seconds, check.timeout_seconds, check.retry_seconds) == (5, 3, 1)
    assert (check.attempts, check.hard_after_seconds) == (3, 9)
    assert {(rule.metric, rule.warn, rule.crit, rule.window_seconds, rule.audience) for rule in check.rules} == {
        ("icmp_loss_ratio", None, 0.1, 300.0, "page"),
        ("icmp_rtt_seconds", 0.25, None, 600.0, "digest"),
        ("icmp_loss_ratio", 0.01, None, 300.0, "digest"),
    }


HD = "{version: 1, plan: {site_net: '127.45.{n}.0/24', hosts: {main: 254}}, roles: {commune: {lines: {main: {profile: video_hd}}}}, "


def test_a_line_for_hd_video_is_watched_as_any_line_and_judged_by_what_video_bears(tmp_path):
    site = "sites: {na-tau: {n: 34, code: '03316'}}}"
    check = load(tmp_path, HD + site).checks["na-tau/main/icmp"]
    assert (check.interval_seconds, check.timeout_seconds, check.retry_seconds, check.hard_after_seconds) == (5, 3, 1, 9)
    assert {(rule.name, rule.warn, rule.crit, rule.clear, rule.window_seconds, rule.audience) for rule in check.rules} == {
        ("loss", None, 0.1, 0.08, 300.0, "page"),
        ("video_loss", 0.005, 0.02, 0.001, 300.0, "digest"),
        ("video_delay", 0.2, 0.3, 0.15, 300.0, "digest"),
        ("video_jitter", 0.03, 0.05, 0.02, 300.0, "digest"),
    }
    slower = load(tmp_path, HD + "defaults: {intervals: {icmp: 10s}}, " + site).checks["na-tau/main/icmp"]
    assert slower.interval_seconds == 10


def test_a_shipped_profile_builds_on_ones_own_of_the_name_of_its_base(tmp_path):
    own = "profiles: {line: {rules: {loss: null}}}, sites: {na-tau: {n: 34, code: '03316'}}}"
    assert {rule.name for rule in load(tmp_path, HD + own).checks["na-tau/main/icmp"].rules} == {
        "video_loss",
        "video_delay",
        "video_jitter",
    }


def test_parents_follow_the_way_out(shipped):
    checks = shipped.checks
    assert checks["na-tau/router/icmp"].parents == (("na-tau/main/icmp", "na-tau/backup/icmp"),), "either line is enough"
    assert checks["na-hy/router/icmp"].parents == (("na-hy/main/icmp",),)
    assert checks["na-tau/switch/icmp"].parents == (("na-tau/router/icmp",),)
    assert checks["na-tau/vc/icmp"].parents == (("na-tau/switch/icmp",),)
    assert checks["na-tau/vc/web"].parents == checks["na-tau/vc/call"].parents == (("na-tau/vc/icmp",),)
    assert checks["na-tau/ups/snmp"].parents == (("na-tau/ups/icmp",),)
    assert shipped.sites["na-tau"].devices["router"].parents == (("main", "backup"),)
    assert checks["pexip/meeting/icmp"].parents == ()


def test_the_primary_check_is_icmp_or_else_the_first(tmp_path):
    found = load(tmp_path, compose())
    assert found.primary_check("na-tau", "router") == "na-tau/router/icmp"
    assert found.primary_check("na-tau", "pc") == "na-tau/pc/port"
    assert found.primary_check("na-tau", "main") == "na-tau/main/icmp"
    assert found.primary_check("na-tau", "nothing") is None
    assert {check.parents for check in found.checks.values() if check.target == "pc"} == {(("na-tau/switch/icmp",),)}


def test_icmp_is_the_primary_check_wherever_it_is_written(tmp_path):
    found = load(tmp_path, compose('sites:\n  na-tau: {n: 34, code: "03316", devices: {pc: {checks: {icmp: {probe: icmp}}}}}\n'))
    assert found.primary_check("na-tau", "pc") == "na-tau/pc/icmp"
    assert found.checks["na-tau/pc/icmp"].parents == (("na-tau/switch/icmp",),)
    assert found.checks["na-tau/pc/port"].parents == (("na-tau/pc/icmp",),)


def test_the_nearest_community_counts(tmp_path):
    sites = """\
    sites:
      na-tau: {n: 34, code: "03316", snmp: {community: "${SITE}"}, devices: {pc: {profile: ups, snmp: {community: "${DEVICE}"}}, a: {profile: ups, host: 40}}}
      muong-phang: {n: 35, code: "03325", devices: {a: {profile: ups, host: 40}}}
    """
    head = HEAD.replace("contact: noc,", 'contact: noc, snmp: {community: "${ALL}"},')
    found = load(tmp_path, compose(sites, head=head), environment={"ALL": "all", "SITE": "site", "DEVICE": "device"})
    targets = ("na-tau/pc", "na-tau/a", "muong-phang/a")
    assert [found.checks[f"{target}/snmp"].secrets["community"].reveal() for target in targets] == ["device", "site", "all"]


V3 = """snmp: {version: 3, user: watcher, community: "${C}",
  auth: {protocol: sha512, password: "${A}"}, privacy: {password: "${P}"}},"""
V3_ENVIRONMENT = {"C": "canary-community", "A": "canary-auth", "P": "canary-privacy", "D": "canary-device"}


def test_snmp_3_is_laid_over_from_site_to_device_and_each_device_keeps_to_its_version(tmp_path):
    sites = """\
    sites:
      na-tau:
        n: 34
        code: "03316"
        snmp: {auth: {protocol: sha1}}
        devices:
          a: {profile: ups, host: 40}
          b: {profile: ups, host: 41, snmp: {auth: {password: "${D}"}, privacy: null}}
          c: {profile: ups, host: 42, snmp: {version: 1}}
          d: {profile: ups, host: 43, snmp: {version: 2c}}
          e: {profile: ups, host: 44, snmp: {version: "3", privacy: {protocol: aes256}}}
    """
    found = load(tmp_path, compose(sites, head=HEAD.replace("contact: noc,", f"contact: noc, {V3}")), environment=V3_ENVIRONMENT)
    spoken = {}
    for name in "abcde":
        check = found.checks[f"na-tau/{name}/snmp"]
        snmp, secrets = check.probe, {key: secret.reveal() for key, secret in check.secrets.items()}
        protocols = tuple(one and one.protocol for one in (snmp.auth, snmp.privacy))
        spoken[name] = (str(snmp.version), snmp.user, protocols, secrets)
    assert spoken == {
        "a": ("3", "watcher", ("sha1", "aes128"), {"auth": "canary-auth", "privacy": "canary-privacy"}),
        "b": ("3", "watcher", ("sha1", None), {"auth": "canary-device"}),
        "c": ("1", "", (None, None), {"community": "canary-community"}),
        "d": ("2c", "", (None, None), {"community": "canary-community"}),
        "e": ("3", "watcher", ("sha1", "aes256"), {"auth": "canary-auth", "privacy": "canary-privacy"}),
    }
    assert "canary" not in repr(found)
    assert "canary" not in json.dumps(inventory.flatten(found), default=str)


@pytest.mark.parametrize("secret", ["A", "P"])
def test_a_changed_password_of_snmp_3_changes_the_fingerprint_and_that_of_another_version_does_not(tmp_path, secret):
    text = compose(
        head=HEAD.replace("contact: noc,", f"contact: noc, {V3}"), roles=ROLES.replace("{profile: box}", "{profile: ups, host: 40}", 1)
    )
    one = load(tmp_path, text, environment=V3_ENVIRONMENT)
    two = load(tmp_path, text, environment=V3_ENVIRONMENT | {secret: "canary-of-another"})
    assert inventory.difference(one, two).changed == ("na-tau/router/snmp",)
    three = load(tmp_path, text, environment=V3_ENVIRONMENT | {"C": "canary-of-another"})
    assert inventory.difference(one, three).changed == ()


def test_a_password_of_snmp_3_in_clear_is_warned_of(tmp_path):
    text = compose(
        head=HEAD.replace("contact: noc,", "contact: noc, snmp: {auth: {password: canary-auth}, privacy: {password: canary-privacy}},")
    )
    path = tmp_path / "inventory.yaml"
    path.write_text(text)
    _found, warnings = inventory.examine(path, environment={})
    told = [warning for warning in warnings if warning.key == "secret_in_clear"]
    assert [warning.path for warning in told] == ["defaults.snmp.auth.password", "defaults.snmp.privacy.password"]
    assert "canary" not in "\n".join(warning.block("vi") for warning in told)


def test_every_check_has_a_probe_of_its_own(shipped):
    assert len({id(check.probe) for check in shipped.checks.values()}) == len(shipped.checks)
    assert all(check.timeout_seconds <= check.interval_seconds for check in shipped.checks.values())
    assert all(set(check.parents) or check.target for check in shipped.checks.values())
    known = set(shipped.checks)
    assert all(parent in known for check in shipped.checks.values() for group in check.parents for parent in group)


def test_a_secret_goes_to_the_check_and_nowhere_else(shipped):
    check = shipped.checks["na-tau/router/snmp"]
    assert check.secrets["community"] == Secret("hush-hush")
    assert "hush-hush" not in repr(shipped)
    assert check.probe.profile == "router"
    assert not shipped.checks["na-tau/router/icmp"].secrets


def test_another_plan_takes_the_place_of_the_files(shipped):
    lab = inventory.load(SHIPPED, environment=ENVIRONMENT, site_net="10.45.{n}.0/24")
    assert not lab.demo_plan
    assert lab.checks["na-tau/main/icmp"].address == "10.45.34.254"
    assert lab.checks.keys() == shipped.checks.keys()


def test_more_than_255_sites_fit_a_plan_of_two_octets(tmp_path):
    found = load(tmp_path, compose('sites:\n  na-tau: {n: 300, code: "03316"}\n'), site_net="127.{high}.{low}.0/24")
    assert found.checks["na-tau/main/icmp"].address == "127.1.44.254"
    six = load(tmp_path, compose('sites:\n  na-tau: {n: 300, code: "03316"}\n'), site_net="fd00:45:{n}::/112")
    assert six.checks["na-tau/main/icmp"].address == "fd00:45:300::fe"


def test_a_site_adds_changes_and_drops(tmp_path):
    found = load(
        tmp_path,
        compose("""\
        sites:
          na-tau:
            n: 34
            code: "03316"
            line: {carrier: Viettel, circuit: X1}
            lines: {backup: {role: backup, carrier: VNPT}}
            tags: {ring: east}
            devices:
              pc: null
              switch: {label: Tầng 2, checks: {web: null, icmp: {interval: 1m}}}
              kiosk: {profile: plain, address: 10.45.34.77, checks: {port: {port: 80}}}
              copier: {profile: plain, host: 78, checks: {port: {port: 631}}}
        """),
    )
    site = found.sites["na-tau"]
    assert set(site.devices) == {"router", "switch", "kiosk", "copier"}
    assert site.devices["switch"].label == "Tầng 2"
    assert [check for check in found.checks if "/switch/" in check] == ["na-tau/switch/icmp"]
    assert found.checks["na-tau/switch/icmp"].interval_seconds == 60
    assert found.checks["na-tau/router/icmp"].interval_seconds == 10
    assert found.checks["na-tau/kiosk/port"].probe.port == 80
    assert found.checks["na-tau/copier/port"].probe.port == 631
    assert (site.lines["main"].carrier, site.lines["main"].circuit) == ("Viettel", "X1")
    assert (site.lines["backup"].carrier, site.lines["backup"].circuit) == ("VNPT", "")
    assert site.tags == {"carrier": "viettel", "ring": "east"}


def test_intervals_outrank_what_is_shipped_but_not_what_is_written(tmp_path):
    text = compose(head=HEAD.replace("contact: noc,", "contact: noc, intervals: {icmp: 20s, tcp: 90s},"))
    text = text.replace("pc: {profile: plain", "kiosk: {profile: router, host: 7, checks: {snmp: null}}, pc: {profile: plain")
    found = load(tmp_path, text)
    assert found.checks["na-tau/kiosk/icmp"].interval_seconds == 20
    assert found.checks["na-tau/router/web"].interval_seconds == 30
    assert found.checks["na-tau/pc/port"].interval_seconds == 90


def test_rules_go_with_the_check_that_they_judge_but_not_those_written_beside(tmp_path):
    taken = "kiosk: {profile: router, host: 7, checks: {snmp: null}}, pc: {profile: plain"
    found = load(tmp_path, compose().replace("pc: {profile: plain", taken))
    assert found.checks["na-tau/kiosk/icmp"].rules == ()
    meant = "kiosk: {profile: router, host: 7, checks: {snmp: null}, rules: {cpu_busy: {hold: 5m}}}, pc: {profile: plain"
    (complaint,) = refused(tmp_path, compose().replace("pc: {profile: plain", meant)).errors
    assert complaint.key == "unknown_check"


def test_a_profile_of_ones_own_builds_on_a_shipped_one(tmp_path):
    profiles = "profiles:\n  plain: {role: pc, checks: {icmp: {probe: icmp}}}\n  box: {base: router, label: Của tôi, rules: {cpu_busy: null, uplink_port_down: {hold: 5m}}}\n"
    head = HEAD.replace("contact: noc,", 'contact: noc, snmp: {community: "${C}", port: 1161},')
    found = load(tmp_path, compose(head=head, profiles=profiles), environment={"C": "x"})
    check = found.checks["na-tau/router/snmp"]
    assert (check.probe.profile, check.probe.port) == ("router", 1161)
    rules = {rule.name: rule for rule in check.rules}
    assert "cpu_busy" not in rules
    assert rules["uplink_port_down"].hold_seconds == 300
    assert found.sites["na-tau"].devices["router"].label == "Của tôi"


def test_secrets_come_from_files_too(tmp_path):
    (tmp_path / "community").write_text("from-file\n")
    head = HEAD.replace("contact: noc,", f'contact: noc, snmp: {{community: "${{file:{tmp_path}/community}}"}},')
    text = compose(head=head).replace("{profile: box}", "{profile: ups}", 1)
    assert load(tmp_path, text).checks["na-tau/router/snmp"].secrets["community"].reveal() == "from-file"
    bare = text.replace(f"file:{tmp_path}/community", "file:community")
    found = load(tmp_path, bare, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.checks["na-tau/router/snmp"].secrets["community"].reveal() == "from-file"


def test_dollar_dollar_stands_for_itself(tmp_path):
    found = load(tmp_path, compose('sites:\n  na-tau: {n: 34, code: "03316", note: "giá $${X}"}\n'))
    assert found.sites["na-tau"].note == "giá ${X}"


def test_pagers_are_tried_and_their_secrets_sealed(tmp_path):
    more = 'pagers:\n  hook: {pager: webhook, url: "${URL}", secret: "${KEY}", language: en}\n'
    key = "whsec_" + "A" * 44
    found = load(tmp_path, compose(more=more), environment={"URL": "https://noc.example.vn/x", "KEY": key})
    assert (found.pagers["hook"].kind, found.pagers["hook"].language) == ("webhook", "en")
    assert found.pagers["hook"].options["secret"] == Secret(key)
    assert found.pagers["hook"].options["url"] == Secret("https://noc.example.vn/x"), "an address may hold a token"
    assert key not in repr(found)
    clear = load(tmp_path, compose(more=f"pagers: {{hook: {{pager: webhook, url: 'http://x', secret: {key}}}}}\n"))
    assert (clear.pagers["hook"].options["url"], clear.pagers["hook"].options["secret"]) == ("http://x", Secret(key))
    mine = {"mine": PagerSettings(name="mine", kind="webhook")}
    assert load(tmp_path, compose(), pagers=mine).pagers == mine


def test_a_plain_option_of_a_pager_may_come_from_the_environment(tmp_path):
    one = 'url: "${URL}", secret: "${KEY}"'
    more = f'pagers:\n  a: {{pager: webhook, {one}, fallback: "${{OTHER}}"}}\n  b: {{pager: webhook, {one}}}\n'
    key = "whsec_" + "A" * 44
    found = load(tmp_path, compose(more=more), environment={"URL": "http://x", "KEY": key, "OTHER": "b"})
    assert found.pagers["a"].options["fallback"] == "b"
    assert key not in repr(found)


def test_strange_but_valid_names_are_kept_as_they_are(tmp_path):
    for name in ("<script>alert(1)</script>", "'; DROP TABLE", "=cmd()", "{{7*7}}", "../../etc"):
        text = compose(more=f"hubs:\n  hub: {{n: 9, name: {json.dumps(name)}, role: commune}}\n")
        assert load(tmp_path, text).sites["hub"].name == name


def test_settings_are_read(tmp_path):
    found = load(tmp_path, compose(more='listen: "[::1]:8080"\nlanguage: en\npage_url: https://mon.example.vn\ntimezone: Asia/Bangkok\n'))
    assert dataclasses.astuple(found.settings)[:5] == ("::1", 8080, "en", "Asia/Bangkok", "https://mon.example.vn")


def test_how_pages_get_out_is_read_and_where_we_say_that_we_live_is_a_secret(tmp_path):
    section = "delivery: {takeover: 3m, pages_per_minute: 20, trial_at: never, blind_note: 10m, dead_man: 'https://hc.example.vn/canary'}\n"
    found = load(tmp_path, compose(more=section)).settings
    assert (found.takeover_seconds, found.pages_per_minute, found.trial_minute, found.blind_note_seconds) == (180, 20, None, 600)
    assert found.dead_man_url.reveal() == "https://hc.example.vn/canary"
    assert "canary" not in repr(found)
    assert load(tmp_path, compose(more="delivery: {trial_at: '09:30'}\n")).settings.trial_minute == 570


def test_a_fingerprint_changes_with_what_is_measured_and_with_nothing_else(tmp_path):
    one = load(tmp_path, compose())
    assert {check: one.checks[check].fingerprint for check in one.checks} == {
        check.id: check.fingerprint for check in load(tmp_path, "# moved\n" + compose()).checks.values()
    }
    for old, new, touched in (
        ("port: 443", "port: 444", {"na-tau/router/web", "na-tau/switch/web"}),
        ("interval: 30s", "interval: 31s", {"na-tau/router/web", "na-tau/switch/web"}),
        ("pc: 9}", "pc: 10}", {"na-tau/pc/port"}),
        ("parent: switch", "parent: router", {"na-tau/pc/port"}),
        ("port: 22}", "port: 22, timeout: 4s}", {"na-tau/pc/port"}),
        ("port: 22}", "port: 22, retry: 4s}", {"na-tau/pc/port"}),
        ("port: 22}", "port: 22, attempts: 4}", {"na-tau/pc/port"}),
        ("port: 22}", "port: 22, hard_after: 4s}", {"na-tau/pc/port"}),
        ("port: 22}}}", "port: 22}}, rules: {slow: {check: port, metric: tcp_connect_seconds, above: {warn: 1}}}}", {"na-tau/pc/port"}),
        ("carrier: VNPT", "carrier: Viettel", set()),
        ("Trực NOC", "Trực", set()),
        ('code: "03316"', 'code: "03316", note: x', set()),
    ):
        other = load(tmp_path, compose().replace(old, new, 1))
        assert {check for check in one.checks if one.checks[check].fingerprint != other.checks[check].fingerprint} == touched, new
        assert set(inventory.difference(one, other).changed) == touched


def test_a_changed_community_changes_the_fingerprint():
    one = inventory.load(SHIPPED, environment={"NETWATCH_SNMP_COMMUNITY": "a"})
    two = inventory.load(SHIPPED, environment={"NETWATCH_SNMP_COMMUNITY": "b"})
    assert set(inventory.difference(one, two).changed) == {check.id for check in one.checks.values() if check.kind == "snmp"}


def test_the_difference_is_told_by_target(tmp_path):
    old = load(tmp_path, compose())
    new = load(
        tmp_path,
        compose('sites:\n  na-tau: {n: 34, code: "03316", devices: {pc: null, switch: {host: 3}}, lines: {backup: {role: backup}}}\n'),
    )
    change = inventory.difference(old, new)
    assert (change.added, change.removed) == (("na-tau/backup/icmp",), ("na-tau/pc/port",))
    assert change.lines("vi") == (
        "thêm 1, bỏ 1, đổi 3 phép kiểm tra",
        "+ na-tau/backup: icmp",
        "- na-tau/pc: port",
        "~ na-tau/router: icmp",
        "~ na-tau/switch: icmp, web",
    )
    assert inventory.difference(old, old) == inventory.Difference()


RESOLVER = """\
profiles:
  box: {role: router, checks: {icmp: {probe: icmp}}}
  plain: {role: pc, checks: {port: {probe: tcp, port: 22}}}
  resolver:
    role: server
    checks:
      names: {probe: dns, name: portal.example, expect: [10.45.1.1], interval: 60s}
      encrypted: {probe: tls, port: 853, server_name: dns.example, interval: 5m}
    rules:
      certificate: {check: encrypted, metric: tls_left_seconds, below: {warn: 14d, crit: 3d}}
"""


def test_names_and_certificates_are_checked_with_days_as_thresholds(tmp_path):
    site = "sites:\n  na-tau: {n: 34, code: '03316', devices: {dns: {profile: resolver, host: 53}}}\n"
    checks = load(tmp_path, compose(site, profiles=RESOLVER)).checks
    assert checks["na-tau/dns/names"].probe.expect == ["10.45.1.1"]
    assert checks["na-tau/dns/encrypted"].probe.server_name == "dns.example"
    (rule,) = checks["na-tau/dns/encrypted"].rules
    assert (rule.metric, rule.warn, rule.crit) == ("tls_left_seconds", 14 * 86400, 3 * 86400)


def test_a_device_of_the_shipped_profile_conference_is_asked_by_sip(tmp_path):
    site = "sites:\n  na-tau: {n: 34, code: '03316', devices: {vc: {profile: conference, host: 10, checks: {sip: {transport: tls}}}}}\n"
    check = load(tmp_path, compose(site)).checks["na-tau/vc/sip"]
    assert (check.kind, check.probe.transport) == ("sip", "tls")
    assert (check.interval_seconds, check.timeout_seconds, check.retry_seconds) == (60, 8, 30)
    assert {rule.name for rule in check.rules} == {"sip_refusing", "sip_certificate"}


PEXIP = "sites:\n  na-tau: {{n: 34, code: '03316', devices: {{p: {{profile: plain, host: 77, checks: {{status: {{probe: pexip, {keys}}}}}}}}}}}\n"


def test_a_secret_of_a_check_is_kept_apart_from_its_keys(tmp_path):
    site = PEXIP.format(keys='password: "${P}", private_key: "${P}", rooms: [a@b]')
    found = load(tmp_path, compose(site), environment={"P": "canary"})
    check = found.checks["na-tau/p/status"]
    assert {name: secret.reveal() for name, secret in check.secrets.items()} == {"password": "canary", "private_key": "canary"}
    assert "canary" not in repr((check, inventory.flatten(found)))
    assert found.warnings == ()
    other = load(tmp_path, compose(site), environment={"P": "another"})
    assert other.checks["na-tau/p/status"].fingerprint != check.fingerprint


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ("rooms: [a@b]", "secret_missing"),
        ("password: 12", "secret_shape"),
        ("password: ''", "secret_shape"),
        ("client_id: c", "secret_missing"),
    ],
)
def test_a_check_without_its_secret_is_refused(tmp_path, keys, key):
    assert [one.key for one in refused(tmp_path, compose(PEXIP.format(keys=keys))).errors] == [key]


def test_a_secret_of_a_check_in_clear_is_warned_of(tmp_path):
    (warning,) = load(tmp_path, compose(PEXIP.format(keys="password: canary"))).warnings
    assert "mật khẩu viết thẳng" in warning
    assert "canary" not in warning


def test_a_poly_room_is_asked_by_rest_and_sip_once_it_has_a_password(tmp_path):
    site = "sites:\n  na-tau: {n: 34, code: '03316', devices: {vc: {profile: poly, host: 10%s}}}\n"
    assert [one.key for one in refused(tmp_path, compose(site % "")).errors] == ["secret_missing"]
    found = load(tmp_path, compose(site % ", checks: {rest: {password: '${P}', verify: false}}"), environment={"P": "x"})
    rest = found.checks["na-tau/vc/rest"]
    assert (rest.kind, rest.probe.verify, rest.timeout_seconds, rest.retry_seconds) == ("poly", False, 15, 30)
    assert {check.kind for check in found.checks.values() if check.target == "vc"} == {"icmp", "sip", "poly"}
    assert {rule.name for rule in rest.rules} >= {"not_registered", "room_camera", "room_microphone"}


def test_the_shipped_kinds_of_conference_servers_are_whole(tmp_path):
    site = "sites:\n  na-tau: {n: 34, code: '03316', devices: {g: {profile: gatekeeper, host: 10}, n: {profile: pexip-node, host: 11}}}\n"
    checks = load(tmp_path, compose(site)).checks
    assert (checks["na-tau/g/ras"].probe.port, checks["na-tau/g/ras"].probe.ras_port) == (None, 1719)
    assert {name: checks[f"na-tau/n/{name}"].kind for name in ("icmp", "web", "sip", "h323")} == {
        "icmp": "icmp", "web": "tls", "sip": "sip", "h323": "h323",
    }  # fmt: skip
