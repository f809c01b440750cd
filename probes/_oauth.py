"""A token by OAuth 2.0 client credentials with a signed assertion (RFC 7523 section 2.2), as Pexip Infinity wants it.

https://docs.pexip.com/admin/managing_API_oauth.htm: the key is ES256, the endpoint /oauth/token/; the form of the assertion is that of
the vendor's own client (pexip/pexshell, lib/src/mcu/auth/oauth2.rs).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from probes import ProbeMisconfigured, Secret

__all__ = ["Token", "form"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 300
NUMBER_BYTES = 32  # RFC 7518 section 3.4


@dataclass(frozen=True, slots=True)
class Token:
    value: Secret
    until: float  # on the running loop's clock


def form(client_id: str, key: Secret, endpoint: str, wall: float, token_id: str) -> Mapping[str, str]:
    """What is posted to the endpoint. Raises ProbeMisconfigured `bad_key`."""
    claims: Mapping[str, str | int] = {
        "iss": client_id,
        "sub": client_id,
        "aud": endpoint,
        "iat": int(wall),
        "exp": int(wall) + ASSERTION_SECONDS,
        "jti": token_id,
    }
    signed = f"{_part({'typ': 'JWT', 'alg': 'ES256'})}.{_part(claims)}"
    first, second = decode_dss_signature(_key(key).sign(signed.encode(), ECDSA(SHA256())))
    signature = _url_safe(first.to_bytes(NUMBER_BYTES) + second.to_bytes(NUMBER_BYTES))
    return {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": f"{signed}.{signature}"}


def _key(key: Secret) -> EllipticCurvePrivateKey:
    try:
        found = load_pem_private_key(key.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ProbeMisconfigured("bad_key", "private_key is not a PEM key without a passphrase") from error
    if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
        raise ProbeMisconfigured("bad_key", "private_key is not of the curve P-256")
    return found


def _part(content: Mapping[str, str | int]) -> str:
    return _url_safe(json.dumps(content, separators=(",", ":")).encode())


def _url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
