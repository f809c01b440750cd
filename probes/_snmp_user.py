"""An SNMPv3 user (RFC 3414), and what is known of the engines it speaks to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from gufo.snmp._fast import get_localized_key, get_master_key

from probes import Secret

__all__ = ["SHORTEST_PASSWORD", "AuthProtocol", "Engine", "Engines", "Keys", "PrivacyProtocol", "User"]

AuthProtocol: TypeAlias = Literal["sha1", "sha224", "sha256", "sha384", "sha512"]
PrivacyProtocol: TypeAlias = Literal["aes128", "aes192", "aes256"]

SHORTEST_PASSWORD = 8  # RFC 3414 section 11.2
LOCALIZED = 2 << 6  # the numbers are gufo_snmp's own: gufo/snmp/user.py
DIGESTS = {"sha1": 4, "sha224": 7, "sha256": 10, "sha384": 11, "sha512": 12}
DIGEST_SIZES = {"sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64}
CIPHERS = {"aes128": (2, 16), "aes192": (3, 24), "aes256": (4, 32)}  # number, size of the key
MOST_KEPT = 4096


class Keys(NamedTuple):
    """As gufo_snmp's socket takes them."""

    auth_algorithm: int
    auth: bytes
    privacy_algorithm: int
    privacy: bytes


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. Without `privacy` requests are signed but can be read on the way."""

    name: str
    digest: AuthProtocol
    auth: Secret = field(repr=False)
    cipher: PrivacyProtocol = "aes128"
    privacy: Secret | None = field(default=None, repr=False)

    def algorithms(self) -> tuple[int, int]:
        """A digest shorter than the cipher's key is stretched as in draft-blumenthal-aes-usm-04; devices of Cisco do it otherwise."""
        digest = DIGESTS[self.digest]
        if self.privacy is None:
            return digest | LOCALIZED, 0
        cipher, size = CIPHERS[self.cipher]
        if size > DIGEST_SIZES[self.digest]:
            digest += 1
        return digest | LOCALIZED, cipher | LOCALIZED


@dataclass(slots=True)
class Engine:
    """The agent at an address. `private` are the users whose requests it was able to read."""

    id: bytes
    boots: int | None = None
    time_seconds: int = 0  # since it booted
    private: set[User] = field(default_factory=set)


class Engines:
    """Engine ids by address, and keys: stretching a password takes 1.5 ms, so it is done once for all devices."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], Engine] = {}
        self._masters: dict[tuple[str, Secret], bytes] = {}
        self._keys: dict[tuple[bytes, User], Keys] = {}

    def keys(self, engine_id: bytes, user: User) -> Keys:
        """RFC 3414 section 2.6: the password made a key, the key made this engine's own."""
        keys = self._keys.get((engine_id, user))
        if keys is None:
            if len(self._keys) >= MOST_KEPT:  # a device may give itself a new id at every poll
                self._keys.clear()
            privacy = b"" if user.privacy is None else self._localized(user.digest, user.privacy, engine_id)
            auth_algorithm, privacy_algorithm = user.algorithms()
            keys = Keys(auth_algorithm, self._localized(user.digest, user.auth, engine_id), privacy_algorithm, privacy)
            self._keys[engine_id, user] = keys
        return keys

    def _localized(self, digest: str, password: Secret, engine_id: bytes) -> bytes:
        master = self._masters.get((digest, password))
        if master is None:
            if len(self._masters) >= MOST_KEPT:
                self._masters.clear()
            master = self._masters[digest, password] = get_master_key(DIGESTS[digest], password.reveal().encode())
        return get_localized_key(DIGESTS[digest], master, engine_id)

    async def aclose(self) -> None:
        self._masters.clear()
        self._keys.clear()
