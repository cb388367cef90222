"""Runs scim2-tester against a server and prints what it found, one result a line."""

import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

base, key = sys.argv[1:]
http = Client(
    base_url=base,
    headers={"Authorization": f"Bearer {key}"},
    timeout=30,
    trust_env=False,
)
fine = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}
for result in check_server(SyncSCIMClient(http)):
    kind = "fine" if result.status in fine else result.status.name.lower()
    reason = " ".join(str(result.reason).split())
    print(f"{kind}\t{result.resource_type or '-'}\t{result.title}\t{reason}")
print("done")
