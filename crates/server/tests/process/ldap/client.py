# What an application does that was written for any directory: look a person up by address, then
# bind as the entry that was found.
import sys

import ldap
import ldap.controls

uri, certificate, service, key, address, token = sys.argv[1:]


def connected():
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
    connection.set_option(ldap.OPT_X_TLS_CACERTFILE, certificate)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    connection.start_tls_s()
    return connection


base = "dc=counterfoil,dc=local"
directory = connected()
assert directory.read_rootdse_s(attrlist=["namingContexts"])["namingContexts"] == [base.encode()]
directory.simple_bind_s(service, key)
[(name, entry)] = directory.search_s(base, ldap.SCOPE_SUBTREE, f"(mail={address})")
assert entry["uid"] == [b"alice"], entry

page = ldap.controls.SimplePagedResultsControl(True, size=10, cookie="")
sent = directory.search_ext(base, ldap.SCOPE_SUBTREE, "(uid=*)", ["uid"], serverctrls=[page])
_, found, _, [answer] = directory.result3(sent)
assert len(found) == 1 and not answer.cookie, found

person = connected()
person.simple_bind_s(name, token)
assert person.whoami_s() == f"dn:{name}", person.whoami_s()
assert person.compare_s(name, "mail", address.upper().encode())
for wrong in ["", "wrong", key]:
    try:
        connected().simple_bind_s(name, wrong)
    except (ldap.INVALID_CREDENTIALS, ldap.UNWILLING_TO_PERFORM):
        continue
    raise AssertionError(f"bound with {wrong!r}")
try:
    person.modify_s(name, [(ldap.MOD_REPLACE, "mail", [b"eve@example.org"])])
    raise AssertionError("it was written")
except ldap.UNWILLING_TO_PERFORM:
    pass
print("done")
