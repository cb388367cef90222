"""A client of the Sentinel EMS registration flow, written from the description of its wire surface
alone: string bodies without Content-Type, empty strings in read-only fields, the raw registration
token after "Basic ". Runs the same flow in JSON and in XML.

Usage: client.py BASE USERNAME TOKEN. Prints every secret it was given, then "done"."""

import json
import sys
import xml.etree.ElementTree as ElementTree

import requests

BASE, USERNAME, PAT = sys.argv[1:4]
V5 = BASE + "/token/api/v5"


def first(node, name):
    """The first value of a name, however deep, in the order of the document."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == name:
                return value
            found = first(value, name)
            if found is not None:
                return found
    if isinstance(node, list):
        for value in node:
            found = first(value, name)
            if found is not None:
                return found
    return None


class Json:
    """String bodies without Content-Type, and answers read by the first match of a name."""

    label = "json"
    headers = {}

    @staticmethod
    def body(root, fields):
        return json.dumps({root: fields})

    @staticmethod
    def read(answer, *path):
        return first(answer.json(), path[-1])

    @staticmethod
    def error(answer):
        return answer.json()["errorResponse"]["errorCode"]

    @staticmethod
    def count(answer):
        return first(answer.json(), "count")


class Xml:
    """The same elements; a value is read where it is a child of the root."""

    label = "xml"
    headers = {"Accept": "application/xml"}

    @staticmethod
    def body(root, fields):
        def element(name, value):
            if isinstance(value, dict):
                value = "".join(element(*field) for field in value.items())
            elif isinstance(value, bool):
                value = str(value).lower()
            return "<%s>%s</%s>" % (name, value, name)

        return element(root, fields)

    @staticmethod
    def read(answer, *path):
        return ElementTree.fromstring(answer.text).find("./" + "/".join(path)).text

    @staticmethod
    def error(answer):
        return int(ElementTree.fromstring(answer.text).find("./errorCode").text)

    @staticmethod
    def count(answer):
        return int(ElementTree.fromstring(answer.text).find("./count").text)


def check(answer, status):
    assert answer.status_code == status, (answer.request.method, answer.url, answer.status_code, answer.text)
    sent = answer.request
    assert sent.body is None or isinstance(sent.body, str), sent.body
    if not (sent.body or "").startswith("grant_type"):
        assert "Content-Type" not in sent.headers, sent.headers
    return answer


def administrator():
    told = check(requests.get(V5 + "/idpConfigurations"), 200).json()
    endpoint = first(told, "tokenEndpoint")
    assert endpoint.endswith("/auth/"), endpoint
    url = endpoint + "realms/" + first(told, "realm") + "/protocol/openid-connect/token"
    form = {"grant_type": "password", "username": USERNAME, "password": PAT,
            "client_id": first(told, "clientId"), "client_secret": ""}
    return check(requests.post(url, data=form), 200).json()["access_token"]


def registrations(wire, admin, token, identity, name):
    """What an administrator does with a registration token that was used once."""
    at = V5 + "/registrationTokens"
    for query in ({"identifier": name}, {"refId1": "one-" + wire.label}, {"token": token}):
        found = check(requests.get(at, params=query, headers=admin), 200)
        assert wire.count(found) == 1, found.text
        assert wire.read(found, "registrationToken", "id") == identity, found.text
        assert token not in found.text
    shown = check(requests.get(at + "/" + identity, headers=admin), 200)
    assert int(wire.read(shown, "usedCount")) == 1, shown.text
    assert wire.read(shown, "customer", "name") == "Acme", shown.text
    assert token not in shown.text
    edit = wire.body("registrationToken", {"count": 9, "token": "", "usedCount": ""})
    edited = check(requests.patch(at + "/identifier=" + name, data=edit, headers=admin), 200)
    assert int(wire.read(edited, "count")) == 9, edited.text
    off = wire.body("registrationToken", {"isEnabled": False})
    edited = check(requests.patch(at + "/" + identity, data=off, headers=admin), 200)
    assert wire.read(edited, "status") == "Disabled", edited.text


def flow(wire, bearer):
    admin = dict(wire.headers, Authorization="Bearer " + bearer)
    name = wire.label + "-office"
    wanted = wire.body("registrationToken", {
        "id": "", "customer": {"id": "", "name": "Acme", "identifier": "", "externalId": ""},
        "identifier": name, "token": "", "count": 4, "usedCount": "", "refId1": "one-" + wire.label,
        "refId2": "", "isEnabled": True, "expiryDate": ""})
    made = check(requests.post(V5 + "/registrationTokens", data=wanted, headers=admin), 201)
    token, identity = wire.read(made, "token"), wire.read(made, "id")
    assert token and identity, made.text
    basic = dict(wire.headers, Authorization="Basic " + token)
    device = wire.body("authToken", {
        "identifier": "", "fqdn": "ws-17." + wire.label, "macAddress": "", "refId1": "",
        "refId2": "", "systemUserName": "jdoe", "creationDate": "", "lastModifiedDate": ""})
    drawn = check(requests.post(V5 + "/authTokens", data=device, headers=basic), 201)
    grant, access = wire.read(drawn, "id"), wire.read(drawn, "token")
    refresh = wire.read(drawn, "refresh_token")
    assert access == wire.read(drawn, "access_token") and token not in drawn.text
    path = V5 + "/authTokens/" + grant
    alone = check(requests.patch(path, data=device, headers=basic), 200)
    assert "access_token" not in alone.text, alone.text
    renewal = wire.body("authToken", {"id": "", "refresh_token": refresh})
    renewed = check(requests.patch(path, data=renewal, headers=basic), 200)
    registrations(wire, admin, token, identity, name)
    held = check(requests.post(V5 + "/authTokens", data=device, headers=basic), 403)
    assert wire.error(held) == 90410, held.text
    found = {"fqdn": "ws-17." + wire.label}
    listed = check(requests.get(V5 + "/authTokens", params=found, headers=admin), 200)
    assert wire.read(listed, "authToken", "id") == grant and refresh not in listed.text
    check(requests.delete(path, headers=admin), 204)
    by_name = {"identifier": name}
    check(requests.delete(V5 + "/registrationTokens", params=by_name, headers=admin), 204)
    gone = check(requests.get(V5 + "/registrationTokens/" + identity, headers=admin), 404)
    assert wire.error(gone) == 125, gone.text
    return [token, access, refresh, wire.read(renewed, "access_token"), wire.read(renewed, "refresh_token")]


ADMINISTRATOR = administrator()
for secret in flow(Json, ADMINISTRATOR) + flow(Xml, ADMINISTRATOR):
    print("secret", secret)
print("done")
