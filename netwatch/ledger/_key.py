"""The key that signs the ledger: Ed25519, one a state directory, made at first use."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

__all__ = ["KEY_NAME", "BadKey", "Key", "Verifier", "key_in", "pem", "public_of", "sync_directory"]

KEY_NAME = "key.pem"
PEM_BEGIN, PEM_END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


class BadKey(ValueError):
    """Not an Ed25519 key, or not one of this form."""


class Key:
    """`public` is its other half: SubjectPublicKeyInfo (RFC 8410) in base64, one line of 60 letters, as a PEM file has it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = base64.b64encode(der).decode()

    def sign(self, record: bytes) -> bytes:
        return self._private.sign(record)

    @classmethod
    def read_from(cls, directory: Path) -> Key:
        """Raises OSError (FileNotFoundError: there is none) and BadKey."""
        try:
            found = load_pem_private_key((directory / KEY_NAME).read_bytes(), password=None)
        except (ValueError, TypeError) as error:  # TypeError: it is encrypted
            raise BadKey(str(error)) from error
        if not isinstance(found, Ed25519PrivateKey):
            raise BadKey(type(found).__name__)
        return cls(found)

    @classmethod
    def made_in(cls, directory: Path) -> Key:
        """The one that is there, or else a new one, whole on the disk before it signs anything. Raises OSError and BadKey."""
        with contextlib.suppress(FileNotFoundError):
            return cls.read_from(directory)
        body = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        descriptor, name = tempfile.mkstemp(prefix=".key-", dir=directory)  # 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was quicker: its key is the one
                os.link(name, directory / KEY_NAME)
        finally:
            Path(name).unlink()
        sync_directory(directory)
        return cls.read_from(directory)


def sync_directory(directory: Path) -> None:
    """So that a new file's name is on the disk too (fsync(2))."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def key_in(directory: Path) -> str | None:
    """The public half of the directory's key, if there is a sound one that may be read."""
    with contextlib.suppress(OSError, BadKey):
        return Key.read_from(directory).public
    return None


def public_of(text: str) -> str:
    """A public key as people have it, a PEM file's text or its one line, brought to that line. Raises BadKey."""
    line = "".join(text.replace(PEM_BEGIN, "").replace(PEM_END, "").split())
    _loaded(line)
    return line


def pem(public: str) -> str:
    """What `openssl pkeyutl -pubin -inkey` reads."""
    return f"{PEM_BEGIN}\n{public}\n{PEM_END}\n"


class Verifier:
    """Tells whether a public key's other half signed a record. Raises BadKey when it is made."""

    def __init__(self, public: str) -> None:
        self._key = _loaded(public)

    def signed(self, record: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, record)
        except InvalidSignature:
            return False
        return True


def _loaded(public: str) -> Ed25519PublicKey:
    try:
        found = load_der_public_key(base64.b64decode(public, validate=True))
    except (ValueError, binascii.Error) as error:
        raise BadKey(str(error)) from error
    if not isinstance(found, Ed25519PublicKey):
        raise BadKey(type(found).__name__)
    return found
