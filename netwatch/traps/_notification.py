"""The nouns of a notification: with what it may come, what it says, who we are to its sender. Nothing here needs pysnmp."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from probes import Secret

__all__ = ["Address", "Community", "Credential", "Identity", "Refusal", "Said", "User"]

Refusal: TypeAlias = Literal["malformed", "not_authentic"]
Address: TypeAlias = tuple[str, int]

AUTH, PRIVATE = 2, 3  # RFC 3411, SnmpSecurityLevel


@dataclass(frozen=True, slots=True)
class Community:
    """Versions 1 and 2c."""

    community: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """Version 3. Without `privacy` an encrypted message is not understood, with it a plain one is not taken."""

    name: str
    digest: str
    auth: Secret = field(repr=False)
    cipher: str = ""
    privacy: Secret | None = field(default=None, repr=False)

    @property
    def level(self) -> int:
        return AUTH if self.privacy is None else PRIVATE


Credential: TypeAlias = Community | User


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to senders of informs: `boots` must grow with each start, or they refuse to speak to us (RFC 3414 section 2.2.2)."""

    engine_id: bytes
    boots: int


@dataclass(frozen=True, slots=True)
class Said:
    """What a notification says. `objects` are OIDs and values as text, cleaned, without the OID of the notification."""

    version: Literal["1", "2c", "3"]
    oid: str
    objects: tuple[tuple[str, str], ...]
