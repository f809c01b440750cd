"""Is a Pexip Infinity platform well: its nodes, alarms, licences, registered rooms, and how calls are?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

from probes import Metric, Probe, ProbeMisconfigured, Reading, Sample, Shared, Target
from probes._pexip_api import Client, Identity, Pace
from probes._rest import opened
from probes._snmp_text import clean
from probes._tls import ServerName, TlsContexts, check_server_name
from probes._wire import pexip as wire

__all__ = ["Pexip"]

NAMES_SHOWN = 5


@dataclass(kw_only=True, eq=False)
class Pexip(Probe):
    """Asks the status API of a Management Node (https://docs.pexip.com/api_manage/api_status.htm), GET only, a few requests a run.

    `user` with `password`, or `client_id` with `private_key` (OAuth, ES256): an account that may only read is enough. `rooms` are the
    aliases by which rooms register: for each it says whether it is registered, and how its call is. That the manager is silent says
    nothing of the nodes, which carry the meetings: probe each of them by `sip` and `tls`, too.
    """

    secret_names: ClassVar[tuple[str, ...]] = ("password", "private_key")

    port: Annotated[int, Field(ge=1, le=65535)] = 443
    user: Annotated[str, Field(pattern=r"^[^:\x00-\x1f\x7f]*$", max_length=150)] = "admin"
    client_id: Annotated[str, Field(pattern=r"^[!-~]*$", max_length=200)] = ""
    rooms: Annotated[list[str], Field(max_length=500)] = field(default_factory=list)
    server_name: ServerName = ""
    verify: bool = True
    ca_file: str = ""
    _pace: Pace = field(init=False, repr=False, default_factory=Pace)
    _identity: Identity = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError for a key that cannot be right."""
        check_server_name(self.server_name)
        if any(not wire.bare(room) or len(room) > 200 for room in self.rooms):
            raise ValueError("rooms: each an alias such as na-tau@example.vn")
        if not self.user and not self.client_id:
            raise ValueError("user: is empty; give it, or client_id")
        self._identity = Identity(self.user, self.client_id)

    def needs(self) -> Collection[str]:
        return ("private_key",) if self.client_id else ("password",)

    def metrics(self) -> Mapping[str, Metric]:
        def node(unit: str, help_text: str) -> Metric:
            return Metric("gauge", unit, help_text, instance_label="node", keep="change" if unit == "bool" else "mean")

        return {
            "pexip_node_silent_seconds": node("seconds", "Time since the manager last heard of a conferencing node."),
            "pexip_node_out_of_sync": node("bool", "Whether a node's configuration is not synchronised, outside maintenance."),
            "pexip_node_maintenance": node("bool", "Whether a node is in maintenance mode: it takes no new calls."),
            "pexip_node_media_load_ratio": node("ratio", "Share of a node's media capacity in use."),
            "pexip_node_calls": node("", "Calls signalled through a node."),
            "pexip_node_hd_calls_max": node("", "HD calls a node could carry, as it estimates."),
            "pexip_alarms": Metric("gauge", "", "Alarms that nobody acknowledged.", instance_label="level", keep="change"),
            "pexip_licence_ratio": Metric("gauge", "ratio", "Share of the licences in use.", instance_label="licence", keep="mean"),
            "pexip_licences_left": Metric("gauge", "", "Licences not in use.", instance_label="licence", keep="change"),
            "pexip_conferences": Metric("gauge", "", "Conferences with somebody in them.", keep="change"),
            "pexip_participants": Metric(
                "gauge", "", "Participants by the quality of their call.", instance_label="quality", keep="change"
            ),
            "pexip_registrations": Metric("gauge", "", "Aliases registered with the platform.", keep="change"),
            "pexip_room_registered": Metric("gauge", "bool", "Whether a room's alias is registered.", instance_label="room", keep="change"),
            "pexip_room_call_quality": Metric(
                "gauge", "", "A room's call: 1 good, 2 ok, 3 bad, 4 terrible, 0 not known yet.", instance_label="room", keep="change"
            ),
        }

    async def run(self, target: Target, shared: Shared) -> Reading:
        missing = [name for name in self.needs() if name not in target.secrets]
        if missing:
            raise ProbeMisconfigured("login_refused", f"no {missing[0]} is given")
        name = self.server_name or target.address
        context = shared.get(TlsContexts).get(verify=self.verify, ca_file=self.ca_file)
        async with opened(target, self.port, context, name) as rest:
            client = Client(rest, self._identity, self._pace, target.secrets, name)
            nodes = wire.nodes(await client.objects("worker_vm"))
            for sample in _of_nodes(nodes, client.wall):
                target.report(sample)
            alarms = wire.alarms(await client.objects("alarm"))
            for sample in _of_alarms(alarms):
                target.report(sample)
            for sample in _of_licences(wire.licences(await client.objects("licensing"))):
                target.report(sample)
            participants = wire.participants(await client.objects("participant"))
            aliases = {wire.bare(one.get("alias")) for one in await client.objects("registration_alias") if isinstance(one, dict)}
            samples = (*_of_participants(participants), *self._of_rooms(participants, aliases - {""}))
        facts = {
            "pexip_version": clean(next((node.version for node in nodes if node.version), "")),
            "pexip_nodes": _listed([node.name for node in nodes]),
            "pexip_alarm": _listed([f"{alarm.name}: {alarm.details}" if alarm.details else alarm.name for alarm in alarms]),
            "pexip_incomplete": ", ".join(client.incomplete),
        }
        return Reading(samples, {key: text for key, text in facts.items() if text})

    def _of_rooms(self, participants: tuple[wire.Participant, ...], aliases: set[str]) -> Iterator[Sample]:
        yield Sample("pexip_registrations", (float(len(aliases)),))
        for room in self.rooms:
            alias = wire.bare(room)
            yield Sample("pexip_room_registered", (float(alias in aliases),), room)
            calls = [wire.QUALITIES.index(one.quality) for one in participants if alias in one.aliases]
            if calls:
                yield Sample("pexip_room_call_quality", (float(max(calls)),), room)


def _of_nodes(nodes: tuple[wire.Node, ...], wall: float) -> Iterator[Sample]:
    for node in nodes:
        values = {
            "pexip_node_silent_seconds": None if node.reported_wall is None else max(0.0, wall - node.reported_wall),
            "pexip_node_out_of_sync": float(node.is_out_of_sync),
            "pexip_node_maintenance": float(node.maintenance),
            "pexip_node_media_load_ratio": node.media_load_ratio,
            "pexip_node_calls": node.calls,
            "pexip_node_hd_calls_max": node.most_hd_calls,
        }
        for name, value in values.items():
            if value is not None:
                yield Sample(name, (float(value),), clean(node.name))


def _of_alarms(alarms: tuple[wire.Alarm, ...]) -> Iterator[Sample]:
    for level in wire.LEVELS:
        yield Sample("pexip_alarms", (float(sum(alarm.level == level for alarm in alarms)),), level)


def _of_licences(licences: tuple[wire.Licence, ...]) -> Iterator[Sample]:
    for licence in licences:
        yield Sample("pexip_licence_ratio", (licence.used / licence.total,), licence.name)
        yield Sample("pexip_licences_left", (float(max(0, licence.total - licence.used)),), licence.name)


def _of_participants(participants: tuple[wire.Participant, ...]) -> Iterator[Sample]:
    yield Sample("pexip_conferences", (float(len({one.conference for one in participants if one.conference})),))
    for quality in wire.QUALITIES:
        yield Sample("pexip_participants", (float(sum(one.quality == quality for one in participants)),), quality)


def _listed(names: list[str]) -> str:
    """As many as anybody reads."""
    return clean("; ".join([*names[:NAMES_SHOWN], *(["…"] if len(names) > NAMES_SHOWN else [])]))
