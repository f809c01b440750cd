"""The far ends of a trial: receivers that misbehave and know what they were told, and a real Alertmanager behind one of them."""

from __future__ import annotations

import contextlib
import email.utils
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.pager_servers import Hostile, Mode, Status, hostile
from tests.pager_services import PAGERDUTY_KEY, TELEGRAM_TOKEN, PagerDuty, Service, Telegram

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALERTMANAGER = "route: {receiver: nobody, group_wait: 1s}\nreceivers: [{name: nobody}]\n"
ICONS_OF_AN_END = ("🟢", "⚪")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One page that was accepted."""

    at: float
    id: str
    key: str
    incident: int
    sequence: int
    kind: str
    cause: tuple[str, str]
    sites: tuple[str, ...]
    body: bytes = field(repr=False)


@dataclass
class Hook(Service):
    """A receiver of webhooks that keeps all it was told."""

    told: list[Told] = field(default_factory=list)

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        page = json.loads(body)
        incident = page["incident"]
        cause = (incident["cause"]["type"], incident["cause"]["name"])
        self.told.append(
            Told(
                at=time.time(),
                id=request.headers["webhook-id"],
                key=incident["key"],
                incident=incident["id"],
                sequence=incident["sequence"],
                kind=page["kind"],
                cause=cause,
                sites=tuple(incident["sites"]),
                body=body,
            )
        )
        return web.Response(status=204)

    def last(self) -> dict[str, Told]:
        """By key, what came last."""
        return {told.key: told for told in self.told}

    def open_keys(self) -> set[str]:
        return {key for key, told in self.last().items() if told.kind != "recover"}


@dataclass
class Forward(Service):
    """Hands on to the real thing."""

    to: str

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.to + request.path, data=body, headers={"Content-Type": "application/json"}) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read())


@dataclass
class FarEnds:
    """`noc` is a webhook, `duty` PagerDuty with a webhook that stands in, `chat` Telegram, `alerts` a real Alertmanager."""

    noc: Hostile
    duty: Hostile
    standby: Hostile
    chat: Hostile
    alerts: Hostile
    alertmanager_url: str

    def all(self) -> Mapping[str, Hostile]:
        return {"noc": self.noc, "duty": self.duty, "standby": self.standby, "chat": self.chat, "alerts": self.alerts}

    def inventory(self) -> str:
        """The `pagers:` of an inventory that reach them."""
        return f"""\
pagers:
  noc: {{pager: webhook, url: "{self.noc.url}/", secret: "${{HOOK_SECRET}}"}}
  duty: {{pager: pagerduty, routing_key: "${{DUTY_KEY}}", api_url: "{self.duty.url}", fallback: standby}}
  standby: {{pager: webhook, url: "{self.standby.url}/", secret: "${{HOOK_SECRET}}"}}
  chat: {{pager: telegram, token: "${{CHAT_TOKEN}}", chat_id: -1001, api_url: "{self.chat.url}", pages_per_minute: 600}}
  alerts: {{pager: alertmanager, urls: ["{self.alerts.url}"]}}
"""

    def trouble(self, dice: Random, share: float) -> None:
        """From now on, that share of their answers is bad."""
        for name, end in self.all().items():
            bad = list(_bad(name, dice))
            end.script[:] = [dice.choice(bad) if dice.random() < share else Mode.BEHAVE for _ in range(20_000)]

    def behave(self) -> None:
        for end in self.all().values():
            end.script.clear()

    def requests(self) -> int:
        return sum(end.asked for end in self.all().values())

    async def alertmanager_sites(self, http: aiohttp.ClientSession) -> set[str]:
        """Where Alertmanager itself says that something is wrong."""
        return {labels["site"] for labels in await self._firing(http)}

    async def alertmanager_causes(self, http: aiohttp.ClientSession) -> set[tuple[str, str]]:
        return {(labels["cause_type"], labels.get("cause", "")) for labels in await self._firing(http)}

    async def _firing(self, http: aiohttp.ClientSession) -> list[Mapping[str, str]]:
        async with http.get(f"{self.alertmanager_url}/api/v2/alerts") as answer:
            return [alert["labels"] for alert in await answer.json()]

    def duty_keys(self) -> set[str]:
        return {key for _, key in self.duty.service.alerts}

    def chat_says_open(self, names: Sequence[str]) -> set[str]:
        """The places whose last message is not that all is well."""
        found = set()
        for name in names:
            titles = [message["text"].partition("\n")[0] for message in self.chat.service.messages]
            mine = [title for title in titles if name in title]
            if mine and not mine[-1].startswith(ICONS_OF_AN_END):
                found.add(name)
        return found


ENVIRONMENT = {"SNMP_COMMUNITY": "public", "HOOK_SECRET": SECRET, "DUTY_KEY": PAGERDUTY_KEY, "CHAT_TOKEN": TELEGRAM_TOKEN}


def _bad(name: str, dice: Random) -> Sequence[Mode | Status]:
    """Every way to fail that a service may be excused for; a refusal for good is only for who has somebody to stand in."""
    waits = ["0", "1", "1.5", _date(1.0), _date(-3600.0)]
    if name != "duty":  # PagerDuty asks for a minute where it does not say how long
        waits += ["", "soon", "-5", "Tue, 99 Nov 2026 03:02:00 GMT"]
    bad: list[Mode | Status] = [Status(429, {"Retry-After": dice.choice(waits)}, "slow down") for _ in range(3)]
    bad += [Status(500), Status(503, {"Retry-After": "1"}), Status(302, {"Location": "/elsewhere"})]
    bad += [Mode.HANG, Mode.LOST, Mode.LOST, Mode.RESET, Mode.NOT_HTTP, Mode.DRIP, Mode.HALF, Mode.BIG, Mode.GARBAGE, Mode.OK_FALSE]
    return [*bad, Status(403, {}, "no")] if name == "duty" else bad


def _date(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.asynccontextmanager
async def far_ends(directory: Path) -> AsyncIterator[FarEnds]:
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(_alertmanager(directory))

        async def end(service: Any, *, status_alone: bool = False) -> Hostile:
            server: Hostile = await stack.enter_async_context(hostile(service))
            server.status_alone = status_alone
            return server

        yield FarEnds(
            noc=await end(Hook(), status_alone=True),
            duty=await end(PagerDuty()),
            standby=await end(Hook(), status_alone=True),
            chat=await end(Telegram()),
            alerts=await end(Forward(url), status_alone=True),
            alertmanager_url=url,
        )


@contextlib.asynccontextmanager
async def _alertmanager(directory: Path) -> AsyncIterator[str]:
    port = free_port()
    (directory / "alertmanager.yml").write_text(ALERTMANAGER)
    command = [
        "prometheus-alertmanager",
        f"--config.file={directory}/alertmanager.yml",
        f"--storage.path={directory}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (directory / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220  # starting it takes no time
    url = f"http://127.0.0.1:{port}"
    try:
        yield url
    finally:
        process.kill()
        process.wait()
