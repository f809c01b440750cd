"""A Poly room as its REST API is documented and was recorded: the Group series, or VideoOS (G7500, Studio X)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web

__all__ = ["PASSWORD", "USER", "Room", "RoomState"]

USER, PASSWORD = "admin", "lab"
LOCKS_AFTER = 5
MOST_SESSIONS = 3
TOKEN = "lab-xsrf"  # noqa: S105  # the lab's own


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomState:
    """`parts` replaces what a part says of itself: up, down, off, unknown, all_up …"""

    state: str = "ASLEEP"
    video_os: bool = False
    uptime_seconds: float = 324_967.72
    speed_megabits: int = 1000
    duplex: str = "FULL"
    rate_kilobits: int = 0  # of the call it is in
    parts: Mapping[str, str] = field(default_factory=dict)

    def system(self) -> Mapping[str, Any]:
        model, software = ("StudioX30", "3.10.0") if self.video_os else ("RealPresence Group 500", "Release - 6.2.2.8-670021")
        told = {
            "build": "670021",
            "hardwareVersion": "18",
            "lanStatus": {"duplex": self.duplex, "speedMbps": self.speed_megabits, "state": "LAN_UP"},
            "model": model,
            "rebootNeeded": False,
            "serialNumber": "8215274422C5CV",
            "softwareVersion": software,
            "state": self.state,
            "systemName": "Phòng họp",
            "systemTime": 1664532053000,
            "timeServerState": "TIMESERVER_UP",
            "uptime": self.uptime_seconds,
        }
        return told if self.video_os else {**told, "rcBatteryCondition": "BATTERY_GOOD"}

    def status(self) -> list[Mapping[str, Any]]:
        if self.video_os:
            usual = {"provisioning": "down", "ipnetwork": "up", "trackablecamera": "up", "sipserver": "up", "mr.camera": "all_up",
                     "mr.audio": "all_up", "remotecontrol": "off", "logthreshold": "full", "gatekeeper": "unknown"}  # fmt: skip
        else:
            usual = {"inacall": "on" if self.rate_kilobits else "off", "remotecontrol": "up", "microphones": "up", "globaldirectory": "off",
                     "ipnetwork": "up", "gatekeeper": "unknown", "sipserver": "up", "logthreshold": "off", "provisioning": "down"}  # fmt: skip
        key = "stateList" if self.video_os else "state"
        return [{"name": f"system.status.{part}", key: [word]} for part, word in {**usual, **self.parts}.items()]

    def conferences(self) -> list[Mapping[str, Any]]:
        pending = {"connections": [], "id": "PENDING", "isActive": False, "terminals": []}
        if not self.rate_kilobits:
            return [] if self.video_os else [pending]
        call = {"address": "giaoban@lab", "callType": "SIP", "id": "6", "rate": self.rate_kilobits, "state": "CONNECTED"}
        return [{"connections": [call], "id": "0", "isActive": True}, pending]


@dataclass(slots=True)
class Room:
    """`sessions` are those that are open, `asked` every method and path in order."""

    state: Callable[[], RoomState]
    asked: list[str] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    refused: int = 0
    _numbers: Any = field(default_factory=lambda: count(1))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if request.path == "/rest/session":
            return await self._session(request)
        if request.cookies.get("session_id") not in self.sessions:
            return web.Response(status=403, text="<html>login</html>", content_type="text/html")
        state = self.state()
        told = {"/rest/system": state.system, "/rest/system/status": state.status, "/rest/conferences": state.conferences}.get(request.path)
        return web.Response(status=404) if told is None or request.method != "GET" else web.json_response(told())

    async def _session(self, request: web.BaseRequest) -> web.Response:
        state, mine = self.state(), request.cookies.get("session_id", "")
        body = await _object(request)
        if request.method == "DELETE" or body.get("action") == "Logout":
            # The Group series takes the one, VideoOS the other, and that only with its token.
            wrong = request.method != ("DELETE" if state.video_os else "POST")
            if wrong or mine not in self.sessions or (state.video_os and request.headers.get("X-XSRF-Token") != TOKEN):
                return web.Response(status=405 if wrong else 403)
            self.sessions.discard(mine)
            return web.json_response({"success": True})
        if self.refused >= LOCKS_AFTER:
            return web.json_response({"success": False, "loginStatus": {"loginResult": "LOCKOUT"}}, status=403)
        if (body.get("user"), body.get("password")) != (USER, PASSWORD):
            self.refused += 1
            return web.json_response({"success": False, "reason": "SessionInvalidUserNamePassword"}, status=403)
        if len(self.sessions) >= MOST_SESSIONS:
            return web.json_response({"success": False, "reason": "SessionMaxActiveSessionsReached"}, status=403)
        return self._opened(state)

    def _opened(self, state: RoomState) -> web.Response:
        number = f"PS{next(self._numbers)}"
        self.sessions.add(number)
        answer = web.json_response({"loginStatus": {"loginResult": "NOLOCKOUT"}, "session": {"sessionId": number}, "success": True})
        answer.set_cookie("session_id", number)
        if state.video_os:
            answer.set_cookie("XSRF-TOKEN", TOKEN)
        return answer


async def _object(request: web.BaseRequest) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
