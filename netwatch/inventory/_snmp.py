"""`snmp:` of the defaults, a site or a device, laid over each other; what is secret in it is kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netwatch.inventory._collect import Collector, Where, shown
from netwatch.inventory._profiles import Draft
from netwatch.model import Secret

__all__ = ["SnmpSettings"]

_PROTECTED = ("auth", "privacy")  # keys of version 3 that hold a protocol and a password
_SHORTEST_PASSWORD = 8  # RFC 3414 section 11.2


@dataclass(frozen=True, slots=True)
class SnmpSettings:
    """`secrets` by the names that the probe knows: `community`, `auth`, `privacy`."""

    draft: Draft
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    def under(self, values: Mapping[str, Any], where: Where, collector: Collector) -> SnmpSettings:
        """With what was written nearer to the device; a password may change alone."""
        if not values:
            return self
        own = {key: value for key, value in values.items() if key != "community"}
        secrets = dict(self.secrets)
        if "community" in values:
            given = values["community"]
            if isinstance(given, str) and given:
                secrets["community"] = Secret(given)
            else:
                collector.error((where[0], (*where[1], "community")), "community_shape", value=shown(given, ("community",)))
        for key in _PROTECTED:
            if isinstance(values.get(key), dict):
                protocol = dict(values[key])
                if "password" in protocol:
                    self._keep(secrets, key, protocol.pop("password"), (where[0], (*where[1], key, "password")), collector)
                below = self.draft.values.get(key)
                own[key] = {**below, **protocol} if isinstance(below, dict) else protocol
            elif key in values and values[key] is None:
                secrets.pop(key, None)
        return SnmpSettings(self.draft.under(Draft.at(where, own)), secrets)

    @staticmethod
    def _keep(secrets: dict[str, Secret], key: str, given: Any, where: Where, collector: Collector) -> None:
        if not isinstance(given, str) or len(given) < _SHORTEST_PASSWORD:
            collector.error(where, "snmp_password", limit=str(_SHORTEST_PASSWORD))
            given = ""  # the file is refused; there is no second complaint that a password is missing
        secrets[key] = Secret(given)

    def spoken(self, options: Mapping[str, Any], collector: Collector) -> tuple[dict[str, Any] | None, dict[str, Secret]]:
        """The keys and secrets of the version in `options`; those of another are for other devices. None after a complaint."""
        if str(options.get("version", "2c")) != "3":
            if "community" not in self.secrets:
                collector.error(self.draft.where, "community_missing", name="community")
            return {key: value for key, value in options.items() if key not in {"user", *_PROTECTED}}, self._only("community")
        missing = [key for key in ("user", "auth") if options.get(key) in (None, "")]
        for key in missing:
            collector.error(self.draft.where, "snmp_v3_missing", name=key)
        if missing:
            return None, {}
        needed = [key for key in _PROTECTED if options.get(key) is not None]
        for key in needed:
            if key not in self.secrets:
                variable = f"NETWATCH_SNMP_{key.upper()}_PASSWORD"
                collector.error(self.draft.where_of(key), "snmp_password_missing", name="password", variable=variable)
        return dict(options), self._only(*needed)

    def _only(self, *names: str) -> dict[str, Secret]:
        return {name: self.secrets[name] for name in names if name in self.secrets}
