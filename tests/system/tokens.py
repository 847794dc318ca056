"""Keys and tokens of readers for the tests: made by PyJWT and cryptography, and by hand what those would refuse to make."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ALGORITHMS = ["HS256", "RS256", "ES256", "EdDSA"]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


class Keys:
    """A key for each algorithm, whose id is the algorithm's name and `suffix`."""

    def __init__(self, suffix=""):
        self.suffix = suffix
        self.key = {"HS256": secrets.token_bytes(32), "RS256": rsa.generate_private_key(65537, 2048),
                    "ES256": ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate()}

    def kid(self, algorithm):
        return algorithm + self.suffix

    def pem(self, algorithm):
        """The public key."""
        return self.key[algorithm].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def jwk(self, algorithm):
        key = self.key[algorithm]
        if algorithm == "HS256":
            members = {"kty": "oct", "k": b64(key)}
        elif algorithm == "RS256":
            public = key.public_key().public_numbers()
            members = {"kty": "RSA", "n": _number(public.n), "e": _number(public.e), "use": "sig"}
        elif algorithm == "ES256":
            public = key.public_key().public_numbers()
            members = {"kty": "EC", "crv": "P-256", "x": _number(public.x, 32), "y": _number(public.y, 32)}
        else:
            raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            members = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        return dict(members, kid=self.kid(algorithm), alg=algorithm)

    def token(self, sub="reader", algorithm="HS256", seconds=3600, kid=True, headers=None, **claims):
        """A token that is valid for this many seconds, with the given claims replaced; a claim that is None is left out."""
        said = dict({"sub": sub, "exp": int(time.time()) + seconds}, **claims)
        named = dict(headers or {}, **({"kid": self.kid(algorithm)} if kid else {}))
        return jwt.encode({k: v for k, v in said.items() if v is not None}, self.key[algorithm], algorithm, headers=named)

    def by_hand(self, header, claims, secret=None):
        """An HMAC-signed token of any header and claims, texts or what JSON makes of them."""
        parts = [b64(p.encode() if isinstance(p, str) else json.dumps(p).encode()) for p in (header, claims)]
        signed = ".".join(parts)
        return signed + "." + b64(hmac.new(secret or self.key["HS256"], signed.encode(), hashlib.sha256).digest())


def write(path, content, mode=0o600):
    """Puts a file in place whole, as an operator should."""
    with open(path + ".new", "w", opener=lambda name, flags: os.open(name, flags, mode)) as f:
        f.write(content)
    os.rename(path + ".new", path)


def jwks(*keys, algorithms=None):
    return json.dumps({"keys": [k.jwk(a) for k in keys for a in algorithms or ALGORITHMS]})
