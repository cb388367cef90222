"""A machine that speaks OAuth to the server with Authlib and PyJWT, unmodified.

Usage: client.py BASE CLIENT KEY REGISTRATION ADMIN. Ends with "done" or with a traceback.
"""

import base64
import hashlib
import json
import sys
import time

import jwt
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from cryptography.hazmat.primitives.asymmetric import ec

BASE, CLIENT, KEY, REGISTRATION, ADMIN = sys.argv[1:6]
ISSUER = BASE + "/realms/main"


def discovery():
    found = requests.get(ISSUER + "/.well-known/openid-configuration").json()
    strict = requests.get(BASE + "/.well-known/oauth-authorization-server/realms/main").json()
    assert found == strict and found["issuer"] == ISSUER, (found, strict)
    checked = AuthorizationServerMetadata(found)
    for name in ("issuer", "token_endpoint", "jwks_uri", "introspection_endpoint"):
        getattr(checked, "validate_" + name)() if name != "jwks_uri" else None
    return found


def verified(token, metadata, audience):
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    head = jwt.get_unverified_header(token)
    assert head["typ"] == "at+jwt", head
    return jwt.decode(
        token, key.key, algorithms=[head["alg"]], audience=audience, issuer=ISSUER,
        options={"require": ["exp", "iat", "sub", "jti", "client_id"]},
    )


def client_credentials(metadata):
    session = OAuth2Session(CLIENT, KEY, scope="tokens:read")
    token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    claims = verified(token["access_token"], metadata, "counterfoil")
    assert claims["sub"] == "client:" + CLIENT and claims["scope"] == "tokens:read", claims
    said = session.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"]
    ).json()
    assert said["active"] and said["jti"] == claims["jti"] and said["iss"] == ISSUER, said
    api = session.get(BASE + "/api/v1/realms/main/tokens")
    assert api.status_code == 200, api.text
    gone = session.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])
    assert gone.status_code == 200, gone.text
    checking = OAuth2Session(CLIENT, KEY)
    said = checking.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"]
    ).json()
    assert said == {"active": False}, said


def device_flow(metadata):
    waiting = requests.post(
        metadata["device_authorization_endpoint"], auth=("till-7", REGISTRATION)
    ).json()
    session = OAuth2Session("till-7", token_endpoint_auth_method="none")
    device_code = "urn:ietf:params:oauth:grant-type:device_code"

    def poll():
        return requests.post(
            metadata["token_endpoint"],
            data={"grant_type": device_code, "device_code": waiting["device_code"]},
        ).json()

    assert poll()["error"] == "authorization_pending"
    admin = {"Authorization": "Bearer " + ADMIN}
    listed = requests.get(
        BASE + "/api/v1/realms/main/tokens?kind=auth_token", headers=admin
    ).json()["items"]
    pending = [item for item in listed if item["state"] == "pending"]
    decided = requests.post(
        BASE + "/api/v1/realms/main/tokens/" + pending[0]["id"] + "/approve", headers=admin
    )
    assert decided.status_code == 200, decided.text
    time.sleep(waiting["interval"])
    token = session.fetch_token(
        metadata["token_endpoint"], grant_type=device_code, device_code=waiting["device_code"]
    )
    claims = verified(token["access_token"], metadata, "git")
    assert claims["sub"] == "device:till-7", claims
    fresh = session.refresh_token(metadata["token_endpoint"], token["refresh_token"])
    assert fresh["refresh_token"] != token["refresh_token"]
    verified(fresh["access_token"], metadata, "git")
    gone = session.revoke_token(metadata["revocation_endpoint"], token=fresh["refresh_token"])
    assert gone.status_code == 200, gone.text


class Proving:
    """DPoP (RFC 9449), which Authlib does not offer."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
        self.jwk = {name: public[name] for name in ("crv", "kty", "x", "y")}
        digest = hashlib.sha256(json.dumps(self.jwk, separators=(",", ":"), sort_keys=True).encode())
        self.jkt = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
        self.count = 0

    def proof(self, method, url, token=None, jti=None):
        self.count += 1
        claims = {"jti": jti or f"{self.jkt}-{self.count}", "htm": method, "htu": url,
                  "iat": int(time.time())}
        if token:
            digest = hashlib.sha256(token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return jwt.encode(claims, self.key, "ES256", headers={"typ": "dpop+jwt", "jwk": self.jwk})


def dpop(metadata):
    url = metadata["token_endpoint"]
    holder, thief = Proving(), Proving()

    def ask(data, proof=None):
        headers = {"DPoP": proof} if proof else {}
        return requests.post(url, data=data, auth=(CLIENT, KEY), headers=headers)

    asked = {"grant_type": "client_credentials"}
    once = holder.proof("POST", url)
    token = ask(asked, once).json()
    assert token["token_type"] == "DPoP", token
    assert verified(token["access_token"], metadata, "counterfoil")["cnf"]["jkt"] == holder.jkt
    again = ask(asked, once)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_dpop_proof"), again.text
    api = BASE + "/api/v1/realms/main/tokens"

    def call(scheme, proof=None):
        headers = {"Authorization": scheme + " " + token["access_token"]}
        headers.update({"DPoP": proof} if proof else {})
        return requests.get(api, headers=headers).status_code

    access = token["access_token"]
    assert call("DPoP", holder.proof("GET", api, access)) == 200
    assert call("Bearer") == 401
    assert call("DPoP") == 401
    assert call("DPoP", holder.proof("GET", api)) == 401
    assert call("DPoP", thief.proof("GET", api, access)) == 401


metadata = discovery()
client_credentials(metadata)
device_flow(metadata)
dpop(metadata)
print("done")
