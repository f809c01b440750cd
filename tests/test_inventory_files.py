"""An inventory in several files: one meaning, and complaints that name the file and the line."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch import inventory
from netwatch.inventory._communes import communes
from tests.inventories import HEAD, PROFILES, ROLES, SITES, compose

SHIPPED = Path(__file__).parent.parent / "inventory.yaml"


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder


def refused(path):
    with pytest.raises(inventory.InventoryRefused) as caught:
        inventory.load(path, environment={})
    return [(Path(one.place.file).name, one.place.line, one.key, one.path) for one in caught.value.errors]


def test_files_of_the_folder_beside_the_inventory_belong_to_it(tmp_path):
    write(tmp_path, inventory=compose())
    write(tmp_path / "inventory.d", more='sites:\n  nua-ngam: {n: 41, code: "03358", contact: xa}\ncontacts:\n  xa: {name: Xã}\n')
    found = inventory.load(tmp_path / "inventory.yaml", environment={})
    assert set(found.sites) == {"na-tau", "nua-ngam"}
    assert found.sites["nua-ngam"].contact.name == "Xã"
    assert found.sites["nua-ngam"].devices["switch"].address == "10.45.41.2"


def test_a_folder_is_an_inventory(tmp_path):
    write(tmp_path, a=HEAD, b=PROFILES, c=ROLES, d=SITES, e="")
    whole = write(tmp_path / "whole", inventory=compose()) / "inventory.yaml"
    found, expected = (inventory.load(path, environment={}) for path in (tmp_path, whole))
    assert (found.sites, found.checks.keys()) == (expected.sites, expected.checks.keys())


def test_a_site_in_two_files_names_both_lines(tmp_path):
    write(tmp_path, inventory=compose())
    write(tmp_path / "inventory.d", more='# again\nsites:\n  na-tau: {n: 35, code: "03325"}\n')
    with pytest.raises(inventory.InventoryRefused) as caught:
        inventory.load(tmp_path / "inventory.yaml", environment={})
    (error,) = caught.value.errors
    first = compose().splitlines().index('  na-tau: {n: 34, code: "03316"}') + 1
    assert error.line("en") == (
        f'{tmp_path}/inventory.d/more.yaml:3:3: sites.na-tau: "na-tau" is also in {tmp_path}/inventory.yaml:{first}; delete one of the two'
    )
    assert error.place.source[-1] == (3, '  na-tau: {n: 35, code: "03325"}')


def test_what_is_wrong_is_told_at_its_own_file_and_line_for_all_files_at_once(tmp_path):
    write(tmp_path, inventory=compose(sites='sites:\n  na-tau: {n: 34, code: "03316", pritority: 1}\n'))
    write(tmp_path / "inventory.d", a='sites:\n\n  nua-ngam: {n: 34, code: "03358"}\n', b="plan: {site_net: '10.0.{n}.0/24'}\n", c="- 1\n")
    assert set(refused(tmp_path / "inventory.yaml")) == {
        ("inventory.yaml", compose().splitlines().index("sites:") + 2, "unknown_key", "sites.na-tau.pritority"),
        ("a.yaml", 3, "duplicate_number", "sites.nua-ngam.n"),
        ("b.yaml", 1, "duplicate_elsewhere", "plan"),
        ("c.yaml", 1, "not_mapping", ""),
    }


def test_the_version_may_be_said_in_every_file_but_must_be_the_same(tmp_path):
    write(tmp_path, inventory=compose())
    write(tmp_path / "inventory.d", a="version: 1\n")
    assert inventory.load(tmp_path / "inventory.yaml", environment={}).sites
    write(tmp_path / "inventory.d", b="version: 2\n")
    assert refused(tmp_path / "inventory.yaml") == [("b.yaml", 1, "duplicate_elsewhere", "version")]


def test_a_file_that_is_no_yaml_does_not_hide_what_is_wrong_in_another(tmp_path):
    write(tmp_path, inventory="version: 1\nversion: 1\n")
    write(tmp_path / "inventory.d", a="sites: [\n")
    assert {(name, key) for name, _, key, _ in refused(tmp_path / "inventory.yaml")} == {
        ("a.yaml", "syntax_bracket"),
        ("inventory.yaml", "duplicate_key"),
    }


def test_hidden_files_and_other_kinds_are_left_alone(tmp_path):
    write(tmp_path, inventory=compose())
    folder = write(tmp_path / "inventory.d")
    (folder / ".more.yaml.swp.yaml").write_text("nonsense: [")
    (folder / "README").write_text("nonsense: [")
    assert inventory.load(tmp_path / "inventory.yaml", environment={}).sites


def test_a_folder_without_files_is_refused_as_a_folder(tmp_path):
    assert [key for _, _, key, _ in refused(tmp_path)] == ["file_directory"]


@settings(max_examples=15)
@given(moved=st.sets(st.sampled_from([commune.slug for commune in communes().values()])))
def test_the_shipped_inventory_means_the_same_however_its_sites_are_parted(moved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parted")
    kept, cut = [], ["sites:\n"]
    for line in SHIPPED.read_text("utf-8").splitlines(keepends=True):
        is_moved = line.startswith("  ") and line.endswith("}}\n") and line.strip().partition(":")[0] in moved
        (cut if is_moved else kept).append(line)
    write(folder, inventory="".join(kept))
    write(folder / "inventory.d", more="".join(cut) if len(cut) > 1 else "")
    environment = {"NETWATCH_SNMP_COMMUNITY": "x"}
    found, expected = (inventory.load(path, environment=environment) for path in (folder / "inventory.yaml", SHIPPED))
    assert found.sites == expected.sites
    assert {check.fingerprint for check in found.checks.values()} == {check.fingerprint for check in expected.checks.values()}
    shutil.rmtree(folder)
