"""A client of the Sentinel EMS registration flow, written from the description of its wire surface
alone: string bodies without Content-Type, empty strings in read-only fields, the raw registration
token after "Basic ". Runs the whole flow in JSON and in XML."""

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


def check(answer, status):
    assert answer.status_code == status, (answer.request.method, answer.url, answer.status_code, answer.text)
    return answer


def administrator():
    told = check(requests.get(V5 + "/idpConfigurations"), 200).json()
    endpoint = first(told, "tokenEndpoint")
    assert endpoint.endswith("/auth/"), endpoint
    url = endpoint + "realms/" + first(told, "realm") + "/protocol/openid-connect/token"
    form = {"grant_type": "password", "username": USERNAME, "password": PAT,
            "client_id": first(told, "clientId"), "client_secret": ""}
    return check(requests.post(url, data=form), 200).json()["access_token"]


def in_json(bearer):
    headers = {"Authorization": "Bearer " + bearer}
    body = json.dumps({"registrationToken": {
        "id": "", "customer": {"id": "", "name": "", "identifier": "", "externalId": ""},
        "identifier": "json-office", "token": "", "count": 4, "usedCount": "", "refId1": "one",
        "refId2": "", "isEnabled": "true", "expiryDate": ""}})
    made = check(requests.post(V5 + "/registrationTokens", data=body, headers=headers), 201).json()
    token, identity = first(made, "token"), first(made, "id")
    assert token and identity
    device = json.dumps({"authToken": {
        "identifier": "", "fqdn": "ws-17.acme.example", "macAddress": "", "refId1": "",
        "refId2": "", "systemUserName": "jdoe", "creationDate": "", "lastModifiedDate": ""}})
    basic = {"Authorization": "Basic " + token}
    drawn = check(requests.post(V5 + "/authTokens", data=device, headers=basic), 201).json()
    grant, refresh = first(drawn, "id"), first(drawn, "refresh_token")
    assert first(drawn, "token") == first(drawn, "access_token")
    renewal = json.dumps({"authToken": {"refresh_token": refresh}})
    path = V5 + "/authTokens/" + grant
    renewed = check(requests.patch(path, data=renewal, headers=basic), 200).json()
    assert first(renewed, "access_token")
    found = requests.get(V5 + "/registrationTokens", params={"token": token}, headers=headers)
    assert first(check(found, 200).json(), "id") == identity
    assert token not in found.text
    one = V5 + "/registrationTokens/" + identity
    check(requests.patch(one, data='{"registrationToken":{"count":9}}', headers=headers), 200)
    assert first(requests.get(one, headers=headers).json(), "usedCount") == 1
    check(requests.delete(path, headers=headers), 204)
    check(requests.delete(one, headers=headers), 204)
    gone = check(requests.get(one, headers=headers), 404).json()
    assert gone["errorResponse"]["errorCode"] == 125, gone
    check(requests.post(V5 + "/authTokens", data=device, headers=basic), 403)
    return token, refresh


def in_xml(bearer):
    headers = {"Authorization": "Bearer " + bearer, "Accept": "application/xml"}
    body = ("<registrationToken><id></id><customer><id></id><name></name></customer>"
            "<identifier>xml-office</identifier><token></token><count>4</count>"
            "<usedCount></usedCount><isEnabled>true</isEnabled></registrationToken>")
    made = check(requests.post(V5 + "/registrationTokens", data=body, headers=headers), 201)
    made = ElementTree.fromstring(made.text)
    token, identity = made.find("./token").text, made.find("./id").text
    basic = {"Authorization": "Basic " + token, "Accept": "application/xml"}
    device = ("<authToken><fqdn>ws-18</fqdn><macAddress></macAddress>"
              "<systemUserName>jdoe</systemUserName></authToken>")
    drawn = check(requests.post(V5 + "/authTokens", data=device, headers=basic), 201)
    drawn = ElementTree.fromstring(drawn.text)
    assert drawn.find("./token").text
    params = {"identifier": "xml-office"}
    listed = check(requests.get(V5 + "/registrationTokens", params=params, headers=headers), 200)
    assert ElementTree.fromstring(listed.text).find("./registrationToken/id").text == identity
    check(requests.delete(V5 + "/registrationTokens", params=params, headers=headers), 204)
    one = V5 + "/registrationTokens/" + identity
    gone = ElementTree.fromstring(check(requests.get(one, headers=headers), 404).text)
    assert gone.find("./errorCode").text == "125"
    return token, drawn.find("./refresh_token").text


ADMINISTRATOR = administrator()
for secret in in_json(ADMINISTRATOR) + in_xml(ADMINISTRATOR):
    print("secret", secret)
print("done")
