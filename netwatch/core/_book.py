"""The open incidents, found by key, by site and by member: with thousands of them nobody can look through all. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from netwatch.model import Incident, Subject

__all__ = ["Book"]


class Book(dict[str, Incident]):
    """Open incidents by key. Changed one by one, by `[key] = ` and `del`; nothing else keeps what is looked up true."""

    def __init__(self, incidents: Iterable[Incident] = ()) -> None:
        super().__init__()
        self._of_site: dict[str, dict[str, None]] = {}
        self._of_check: dict[str, dict[str, None]] = {}
        self._members: dict[str, frozenset[Subject]] = {}
        for incident in incidents:
            self[incident.key] = incident

    def __setitem__(self, key: str, incident: Incident) -> None:
        before = self.get(key)
        super().__setitem__(key, incident)
        if before is None:
            self._members[key] = frozenset(incident.members)
            _link(self._of_site, key, _sites(incident))
            _link(self._of_check, key, _checks(incident))
            return
        if (before.sites, before.degraded) != (incident.sites, incident.degraded):
            _unlink(self._of_site, key, _sites(before) - _sites(incident))
            _link(self._of_site, key, _sites(incident) - _sites(before))
        if before.members != incident.members:
            self._members[key] = frozenset(incident.members)
            _unlink(self._of_check, key, _checks(before) - _checks(incident))
            _link(self._of_check, key, _checks(incident) - _checks(before))

    def __delitem__(self, key: str) -> None:
        gone = self[key]
        super().__delitem__(key)
        del self._members[key]
        _unlink(self._of_site, key, _sites(gone))
        _unlink(self._of_check, key, _checks(gone))

    def about(self, site: str) -> list[Incident]:
        """What a site is in, dark or degraded; the oldest first."""
        return self._oldest_first(self._of_site.get(site, ()))

    def holding(self, members: Iterable[Subject]) -> list[Incident]:
        """Those that any of these subjects is a member of; the oldest first."""
        asked = set(members)
        keys = {key for check in {member.check for member in asked} for key in self._of_check.get(check, ())}
        return self._oldest_first(key for key in keys if not asked.isdisjoint(self._members[key]))

    def members(self, incident: Incident) -> frozenset[Subject]:
        """Of an open one."""
        return self._members[incident.key]

    def _oldest_first(self, keys: Iterable[str]) -> list[Incident]:
        return sorted((self[key] for key in keys), key=lambda incident: incident.id)


def _sites(incident: Incident) -> set[str]:
    return {*incident.sites, *incident.degraded}


def _checks(incident: Incident) -> set[str]:
    return {member.check for member in incident.members}


def _link(index: dict[str, dict[str, None]], key: str, names: Iterable[str]) -> None:
    for name in names:
        index.setdefault(name, {})[key] = None


def _unlink(index: dict[str, dict[str, None]], key: str, names: Iterable[str]) -> None:
    for name in names:
        held = index[name]
        del held[key]
        if not held:
            del index[name]
