"""A Pexip Infinity manager as its status API is documented: nodes, alarms, licences, participants, registered aliases; basic auth, OAuth."""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = ["PASSWORD", "USER", "Manager", "Platform", "alarm", "node", "participant", "registration"]

STATUS = "/api/admin/status/v1/"
USER, PASSWORD = "netwatch", "lab"
TOKEN = "lab-token"  # noqa: S105  # the lab's own
RATE_LIMIT, RATE_WINDOW_SECONDS = 1_000, 60.0
USUAL_PAGE = 20
Object = Mapping[str, Any]


def _time(wall: float) -> str:
    """As Pexip writes it: UTC, no zone."""
    return datetime.fromtimestamp(wall, UTC).replace(tzinfo=None).isoformat()


def node(name: str, wall: float, **other: Any) -> Object:
    """As status/worker_vm has it, last heard of at `wall`; `other` replaces what a healthy one says."""
    return {
        "boot_time": _time(wall - 864_000),
        "deploy_status": "SUCCESS",
        "last_attempted_contact": _time(wall),
        "last_updated": _time(wall),
        "maintenance_mode": False,
        "max_hd_calls": 40,
        "media_load": 12,
        "name": name,
        "node_type": "CONFERENCING",
        "signaling_count": 3,
        "sync_status": "SYNCED",
        "system_location": "Dien Bien",
        "version": "36.1 (80000.0.0)",
        **other,
    }


def alarm(name: str, level: str = "error", **other: Any) -> Object:
    return {"acknowledged": False, "details": "", "instance": "", "level": level, "name": name, "node": "10.45.250.1", **other}


def participant(alias: str, quality: str = "1_good", **other: Any) -> Object:
    return {
        "call_direction": "in",
        "call_quality": quality,
        "conference": "Giao ban",
        "destination_alias": "giaoban@lab",
        "display_name": alias,
        "is_streaming": False,
        "participant_alias": f"sip:{alias}",
        "protocol": "SIP",
        "source_alias": f"sip:{alias}",
        **other,
    }


def registration(alias: str, **other: Any) -> Object:
    return {"alias": alias, "is_natted": False, "node": "10.45.250.1", "protocol": "SIP", "remote_address": "10.45.1.11", **other}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What there is to tell."""

    worker_vm: Sequence[Object] = ()
    alarm: Sequence[Object] = ()
    licensing: Sequence[Object] = (
        {"port_count": 3, "port_total": 50, "audio_count": 0, "audio_total": 0, "vmr_count": 5, "vmr_total": 100},
    )
    participant: Sequence[Object] = ()
    registration_alias: Sequence[Object] = ()


@dataclass(slots=True)
class Manager:
    """`public_key` of a client that may ask by OAuth. `asked` is every path, in order."""

    platform: Callable[[], Platform]
    clock: Callable[[], float]
    public_key: EllipticCurvePublicKey | None = None
    rate_limit: int = RATE_LIMIT
    asked: list[str] = field(default_factory=list)
    _times: deque[float] = field(default_factory=deque)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        now = self.clock()
        while self._times and self._times[0] <= now - RATE_WINDOW_SECONDS:
            self._times.popleft()
        if len(self._times) >= self.rate_limit:
            return web.json_response({"error": "too many requests"}, status=429, headers={"Retry-After": "30"})
        self._times.append(now)
        if request.path == "/oauth/token/" and request.method == "POST":
            return self._token(dict(await request.post()))
        if not self._is_allowed(request.headers.get("Authorization", "")):
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        if request.method != "GET":
            return web.Response(status=405)
        resource = request.path.removeprefix(STATUS).removesuffix("/")
        objects = getattr(self.platform(), resource, None) if request.path == f"{STATUS}{resource}/" else None
        return web.Response(status=404) if objects is None else _page(request, resource, objects)

    def _is_allowed(self, authorization: str) -> bool:
        kind, _, value = authorization.partition(" ")
        if kind == "Bearer":
            return self.public_key is not None and value == TOKEN
        return kind == "Basic" and value == base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def _token(self, form: Mapping[str, Any]) -> web.Response:
        if form.get("grant_type") != "client_credentials" or not self._is_signed(str(form.get("client_assertion", ""))):
            return web.json_response({"error": "invalid_client"}, status=400)
        return web.json_response({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    def _is_signed(self, assertion: str) -> bool:
        signed, _, signature = assertion.rpartition(".")
        try:
            raw = _decoded(signature)
            claims = json.loads(_decoded(signed.partition(".")[2]))
            if self.public_key is None or not claims["iss"] == claims["sub"] != "" or not claims["aud"].endswith("/oauth/token/"):
                return False
            both = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
            self.public_key.verify(both, signed.encode(), ECDSA(SHA256()))
        except (ValueError, KeyError, binascii.Error, InvalidSignature):
            return False
        return bool(claims["iat"] < claims["exp"])


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _page(request: web.BaseRequest, resource: str, objects: Sequence[Object]) -> web.Response:
    try:
        limit, offset = int(request.query.get("limit", USUAL_PAGE)), int(request.query.get("offset", 0))
    except ValueError:
        return web.Response(status=400)
    end = offset + limit
    following = f"{STATUS}{resource}/?limit={limit}&offset={end}" if end < len(objects) else None
    meta = {"limit": limit, "next": following, "offset": offset, "previous": None, "total_count": len(objects)}
    return web.json_response({"meta": meta, "objects": list(objects[offset:end])})
