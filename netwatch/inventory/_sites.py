"""Sites and their checks: what inventory.yaml means, once every key in it is known to be sound."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from netwatch._yaml_document import Document, Keys
from netwatch.inventory._addresses import Network, WrongAddress, network, site_network
from netwatch.inventory._collect import Collector, Where
from netwatch.inventory._communes import Commune, communes
from netwatch.inventory._communes import slug as slug_of
from netwatch.inventory._line_tests import CONTROL, LINE_TESTS, control_checks, control_site, line_test_of, look_at_head_room, test_checks
from netwatch.inventory._planned import ANCHORS, anchors_of, maintenance_of, meetings_of
from netwatch.inventory._profiles import Draft, Profiles
from netwatch.inventory._recipes import Recipe, Recipes
from netwatch.inventory._schema import File, HubEntry, SiteEntry
from netwatch.inventory._snmp import SnmpSettings
from netwatch.inventory._targets import Place, Target, Targets
from netwatch.lang import catalog
from netwatch.model import Anchor, Check, Contact, Device, Line, Maintenance, Meeting, Site

__all__ = ["Builder"]


class Builder:
    """Builds every site of one file; what is wrong goes to the collector."""

    def __init__(self, file: File, document: Document, site_net: str, collector: Collector) -> None:
        self.file = file
        self.document = document
        self.collector = collector
        self.site_net = site_net
        raw: Any = document.value
        self._named = {
            part: frozenset(raw[part]) if isinstance(raw.get(part), dict) else frozenset() for part in ("contacts", "profiles", "roles")
        }
        self.profiles = Profiles(file.profiles, document, collector, self._named["profiles"])
        self._recipes = Recipes(file.defaults.intervals, collector)
        self._targets = Targets(file, document, self.profiles, collector)
        self._numbers: dict[int, Keys] = {}
        self._codes: dict[str, Keys] = {}
        self._nets: list[Network] = []
        self.networks: dict[str, Network] = {}
        self.sites: dict[str, Site] = {}
        self.checks: dict[str, Check] = {}
        self.primary: dict[tuple[str, str], str] = {}
        self.anchors: tuple[Anchor, ...] = ()
        self.maintenance: tuple[Maintenance, ...] = ()
        self.meetings: tuple[Meeting, ...] = ()

    def build(self) -> None:
        places: list[tuple[Keys, str, Place]] = [(("sites", name), name, entry) for name, entry in self.file.sites.items()]
        places += [(("hubs", name), name, hub) for name, hub in self.file.hubs.items()]
        snmp = SnmpSettings(Draft({}, {}, self._at("defaults", "snmp"))).under(
            self.file.defaults.snmp, self._at("defaults", "snmp"), self.collector
        )
        for path, name, place in places:
            if path[0] == "hubs" and name in self.file.sites:
                line = str(self.document.place(("sites", name), key=True).line)
                self.collector.error((self.document, path), "duplicate_id", at_key=True, word=name, line=line)
            settings = snmp.under(place.snmp, (self.document, (*path, "snmp")), self.collector)
            net = self._network(path, place)
            if net is not None:
                self.networks[name] = net
            there = self._targets.of(path, place, net, settings)
            targets = {key: self._tested(target, there) for key, target in there.items()}
            self._renamed(path, name, place)
            self._site(path, name, place, targets)
            self._checks(name, targets, net)
        self._controls()
        self._anchors()
        self._unused()
        self._outside()

    def _at(self, *path: str) -> Where:
        return self.document, path

    def _network(self, path: Keys, place: Place) -> Network | None:
        here: Where = (self.document, (*path, "n"))
        earlier = self._numbers.setdefault(place.n, path)
        if earlier != path:
            line = str(self.document.place((*earlier, "n")).line)
            self.collector.error(here, "duplicate_number", value=str(place.n), other=str(earlier[-1]), line=line)
            return None
        if place.net is None and place.n > 255 and "{n}" in self.site_net and ":" not in self.site_net:
            self.collector.error(here, "number_over_255", value=str(place.n))
            return None
        where = self._at("plan", "site_net") if place.net is None else (self.document, (*path, "net"))
        try:
            net = site_network(self.site_net, place.n) if place.net is None else network(place.net)
        except WrongAddress as wrong:
            self.collector.error(where, wrong.key, at_key=False, hint="", name="", **wrong.fields)
            return None
        self._nets.append(net)
        return net

    def _contact(self, path: Keys, place: Place) -> Contact | None:
        name, where = (
            (place.contact, (self.document, (*path, "contact")))
            if place.contact
            else (self.file.defaults.contact, self._at("defaults", "contact"))
        )
        if name is None:
            self.collector.warn((self.document, path), "no_contact", at_key=True)
            return None
        entry = self.file.contacts.get(name)
        if entry is None:
            if name not in self._named["contacts"]:
                self.collector.unknown(where, "unknown_contact", name, self.file.contacts)
            return None
        return Contact(id=name, name=entry.name, phone=entry.phone)

    def _commune(self, path: Keys, name: str, entry: SiteEntry) -> Commune | None:
        where: Where = (self.document, (*path, "code"))
        commune = communes().get(entry.code)
        if commune is None:
            meant = next((one.code for one in communes().values() if one.slug == name), "")
            self.collector.error(where, "unknown_code", word=entry.code, hint=meant)
            return None
        earlier = self._codes.setdefault(entry.code, path)
        if earlier != path:
            line = str(self.document.place((*earlier, "code")).line)
            self.collector.error(where, "duplicate_code", word=entry.code, other=str(earlier[-1]), line=line)
        if self.document.unquoted(where[1]):
            self.collector.warn(where, "code_unquoted", word=entry.code)
        if entry.name is not None and entry.name not in {commune.name, commune.full_name}:
            self.collector.warn((self.document, (*path, "name")), "name_not_of_code", word=entry.name, name_of_code=commune.full_name)
        if name != commune.slug:
            fields = {"word": name, "code": entry.code, "name_of_code": commune.full_name}
            self.collector.warn((self.document, path), "id_not_of_code", at_key=True, hint=commune.slug, name="", **fields)
        return commune

    def _role(self, path: Keys, place: Place) -> None:
        if place.role is not None and place.role not in self.file.roles and place.role not in self._named["roles"]:
            self.collector.unknown((self.document, (*path, "role")), "unknown_role", place.role, self.file.roles)

    def _site(self, path: Keys, name: str, place: Place, targets: dict[str, Target]) -> None:
        self._role(path, place)
        commune = self._commune(path, name, place) if isinstance(place, SiteEntry) else None
        hub = place if isinstance(place, HubEntry) else None
        lines = {target.id: target.thing for target in targets.values() if isinstance(target.thing, Line)}
        devices = {target.id: target.thing for target in targets.values() if isinstance(target.thing, Device)}
        carrier = next((line.carrier for line in lines.values() if line.role == "primary" and line.carrier), "")
        tags = ({"carrier": slug_of(carrier)} if carrier else {}) | dict(place.tags)
        self.sites[name] = Site(
            id=name,
            kind="hub" if hub else "commune",
            name=place.name or (commune.name if commune else name),
            full_name=commune.full_name if commune else (hub.full_name or hub.name if hub else ""),
            code=commune.code if commune else "",
            district=commune.district if commune else "",
            office=place.office or (commune.office if commune else ""),
            latitude=commune.latitude if commune else (hub.latitude if hub else None),
            longitude=commune.longitude if commune else (hub.longitude if hub else None),
            tile=commune.tile if commune else None,
            tags=tags,
            priority=place.priority,
            note=place.note or "",
            contact=self._contact(path, place),
            lines=lines,
            devices=devices,
            renamed_from=place.renamed_from or "",
            page_after_seconds=place.page_after or self.file.defaults.page_after or 0.0,
        )

    def _renamed(self, path: Keys, name: str, place: Place) -> None:
        old = place.renamed_from
        if old is not None and (old == name or old in self.file.sites or old in self.file.hubs):
            self.collector.error((self.document, (*path, "renamed_from")), "renamed_from_alive", word=old)

    def _tested(self, target: Target, there: Mapping[str, Target]) -> Target:
        """With when its line may be tested, if it is. What the defaults say of a device is only of sites that have it."""
        line = target.thing
        if target.test is None or not isinstance(line, Line):
            return target
        where, device = target.test_where or target.where, target.test.device
        if device is not None and device not in there and where[1][:1] == ("defaults",):
            self.collector.warn((self.document, (*where[1], "device")), "line_test_device", word=device, known=", ".join(sorted(there)))
            return replace(target, test=None)
        test = line_test_of(line, target.test, where, self.collector)
        return replace(target, thing=replace(line, test=test))

    def _controls(self) -> None:
        """What line tests are controlled by stands at a place of its own, and is nobody's outage."""
        tests = [check for check in self.checks.values() if check.kind == "bandwidth"]
        look_at_head_room(self.file.line_tests, self.sites, tests, self._at("line_tests"), self.collector)
        site = control_site(catalog(self.file.language).text("inventory.line_tests_name"), self.file.line_tests)
        controls = tuple(control_checks(self.file.line_tests, tests, self._at("line_tests"), self.collector))
        if site is not None and controls:
            self.sites[LINE_TESTS] = site
            self.checks.update({check.id: check for check in controls})
            self.primary[LINE_TESTS, CONTROL] = controls[0].id

    def _checks(self, site: str, targets: dict[str, Target], net: Network | None = None) -> None:
        made = {target.id: self._recipes.of(target.profile, target.snmp) for target in targets.values()}
        primary = {name: f"{site}/{name}/{recipes[0].name}" for name, recipes in made.items() if recipes}
        for target in targets.values():
            above = target.thing.parents if isinstance(target.thing, Device) else ()
            groups = tuple(tuple(primary[parent] for parent in group if parent in primary) for group in above)
            for index, recipe in enumerate(made[target.id]):
                parents = ((primary[target.id],),) if index else tuple(group for group in groups if group)
                check = _check(site, target, recipe, parents)
                self.checks[check.id] = check
            for check in test_checks(site, target, targets, net, primary, self.collector):
                self.checks[check.id] = check
        self.primary.update({(site, name): check_id for name, check_id in primary.items()})

    def _anchors(self) -> None:
        """Anchors with an address of their own stand at a place of their own, and are nobody's outage."""
        devices = {}
        snmp = SnmpSettings(Draft({}, {}, self._at("anchors")))
        for number, entry in enumerate(self.file.anchors):
            where: Where = (self.document, ("anchors", number))
            if entry.name in devices:
                self.collector.error((self.document, ("anchors", number, "name")), "duplicate_id", word=entry.name, line="")
                continue
            target = self._targets.anchor(entry, where, snmp) if entry.address is not None else None
            if target is not None:
                devices[entry.name] = target
        if devices:
            named = catalog(self.file.language).text("inventory.anchors_name")
            things = {name: target.thing for name, target in devices.items() if isinstance(target.thing, Device)}
            self.sites[ANCHORS] = Site(id=ANCHORS, kind="hub", name=named, full_name=named, devices=things)
            first = len(self.checks)
            self._checks(ANCHORS, devices)
            for check_id in list(self.checks)[first:]:
                self.checks[check_id] = replace(self.checks[check_id], rules=(), audience="none")
        self.anchors = anchors_of(self.file.anchors, self.primary, self._at("anchors"), self.collector)
        zone = ZoneInfo(self.file.timezone)
        self.maintenance = maintenance_of(self.file.maintenance, self.sites, zone, self._at("maintenance"), self.collector)
        self.meetings = meetings_of(self.file.meetings, self.sites, zone, self._at("meetings"), self.collector)

    def _unused(self) -> None:
        used = {site.role for site in self.file.sites.values()} | {hub.role for hub in self.file.hubs.values()}
        for name in self.file.roles:
            if name not in used:
                self.collector.warn(self._at("roles", name), "unused_role", at_key=True, word=name)
        for name in self.profiles.unused():
            self.collector.warn(self._at("profiles", name), "unused_profile", at_key=True, word=name)

    def _outside(self) -> None:
        """Private addresses that no site's network holds: usually a slip of the pen, but anchors are meant to be far away."""
        for at, where in self._targets.outside:
            if where[1][:1] == ("anchors",):
                continue
            if at.is_private and not any(at.version == net.version and at in net for net in self._nets):
                self.collector.warn(where, "address_outside_plan", address=str(at))


def _check(site: str, target: Target, recipe: Recipe, parents: tuple[tuple[str, ...], ...]) -> Check:
    return Check(
        id=f"{site}/{target.id}/{recipe.name}",
        site=site,
        target=target.id,
        name=recipe.name,
        kind=recipe.kind,
        probe=recipe.probe(),
        address=target.address,
        secrets=recipe.secrets,
        interval_seconds=recipe.interval_seconds,
        timeout_seconds=recipe.timeout_seconds,
        retry_seconds=recipe.retry_seconds,
        attempts=recipe.attempts,
        hard_after_seconds=recipe.hard_after_seconds,
        rules=recipe.rules,
        parents=parents,
        audience=recipe.audience,
        # Parents without their site, so that a site that is renamed keeps what is believed of it.
        fingerprint=_fingerprint((recipe.measures, target.address, repr(parents).replace(f"'{site}/", "'/"))),
    )


def _fingerprint(parts: Iterable[str]) -> str:
    """Short, and the same in every process: `hash()` would not be."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
