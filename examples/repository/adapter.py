#!/usr/bin/env python3
"""A token table of your own behind the protocol counterfoil-repo/1.

Python's standard library and a SQLite file are all it needs. Read it from top
to bottom: the table, the statements, the routes. Put your own table in place
of this one and keep the routes.

    adapter.py --db tokens.db --listen 127.0.0.1:9400 --key-file acme.secret
    adapter.py --db tokens.db --add alice

No secret is ever stored or logged: the table holds SHA-256 of secrets that
nobody can guess, and the server that asks compares them itself.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import secrets
import socketserver
import sqlite3
import sys
import time
import urllib.parse

PROTOCOL = "counterfoil-repo/1"
CAPABILITIES = [
    "LOOKUP", "LIST", "CREATE", "UPDATE", "DELETE", "ENABLE", "ASSIGN", "USAGE_WRITE",
    "ATOMIC_CONSUME",
]
# How far the clocks of the two machines may differ, in seconds.
CLOCK_SKEW = 60
BODY_BYTES_MAX = 1 << 20
PREFIX = "acme_"
SELECTOR_LENGTH = len(PREFIX) + 8

SCHEMA = """
create table if not exists token (
    id        integer primary key,
    user      text,
    selector  text,
    sha256    text,
    enabled   integer not null default 1,
    version   integer not null default 1,
    used      integer not null default 0,
    uses      integer not null default 0,
    once      text unique,
    attributes text not null default '{}'
);
create index if not exists token_by_selector on token (selector);
create index if not exists token_by_sha256 on token (sha256);
create index if not exists token_by_user on token (user, id);
"""

WRITABLE = {"serialId", "validFrom", "validTo", "trackingId", "maxUsages"} | {
    f"genericDataElement{number}" for number in range(1, 13)
}


class Refused(Exception):
    """An answer that is no."""

    def __init__(self, status, code, pointer=None):
        super().__init__(code)
        self.status, self.code, self.pointer = status, code, pointer


def not_found():
    return Refused(404, "TOKEN_NOT_FOUND")


class Table:
    """The tokens."""

    def __init__(self, path):
        self.path = path
        with self.open() as db:
            db.execute("pragma journal_mode = wal")
            db.executescript(SCHEMA)

    def open(self):
        # One connection for each request: threads share nothing but the file.
        db = sqlite3.connect(self.path, timeout=0.5)
        db.row_factory = sqlite3.Row
        return db

    @staticmethod
    def shown(row):
        return {
            "id": str(row["id"]),
            "version": str(row["version"]),
            "user": row["user"],
            "enabled": bool(row["enabled"]),
            "attributes": {**json.loads(row["attributes"]), "totalUsages": row["uses"]},
        }

    @staticmethod
    def record(row):
        attributes = json.loads(row["attributes"])
        return {
            "id": str(row["id"]),
            "user": row["user"],
            "hash": f"sha256:{row['sha256']}",
            "enabled": bool(row["enabled"]),
            "validFrom": attributes.get("validFrom"),
            "validTo": attributes.get("validTo"),
            "maxUsages": attributes.get("maxUsages"),
        }

    def lookup(self, selector):
        by = selector.get("by")
        if by not in ("user", "selector", "sha256"):
            raise Refused(422, "ATTRIBUTE_INVALID", "/selector/by")
        with self.open() as db:
            rows = db.execute(f"select * from token where {by} = ?", [selector.get(by)])
            return [self.record(row) for row in rows.fetchmany(64) if row["sha256"]]

    def one(self, db, token):
        row = db.execute("select * from token where id = ?", [token]).fetchone()
        if row is None:
            raise not_found()
        return row

    def get(self, token):
        with self.open() as db:
            return self.shown(self.one(db, token))

    def page(self, user, after, limit):
        with self.open() as db:
            rows = db.execute(
                "select * from token where (?1 is null or user = ?1) and id > ?2"
                " order by id limit ?3",
                [user, after, limit + 1],
            ).fetchall()
        more = str(rows[limit - 1]["id"]) if len(rows) > limit else None
        return {"tokens": [self.shown(row) for row in rows[:limit]], "next": more}

    @staticmethod
    def checked(attributes):
        for name in attributes:
            if name not in WRITABLE:
                raise Refused(422, "ATTRIBUTE_UNKNOWN", f"/attributes/{name}")
        return attributes

    def create(self, body, once):
        attributes = self.checked(body.get("attributes") or {})
        digest = (body.get("hash") or "").removeprefix("sha256:")
        with self.open() as db:
            db.execute(
                "insert into token (user, selector, sha256, once, attributes)"
                " values (?, ?, ?, ?, ?) on conflict (once) do nothing",
                [body.get("user"), body.get("selector"), digest, once, json.dumps(attributes)],
            )
            row = db.execute("select * from token where once = ?", [once]).fetchone()
            return self.shown(row)

    def update(self, token, body, version):
        changes = self.checked(body.get("attributes") or {})
        with self.open() as db:
            # Before the read, so that nobody changes the row between the two.
            db.execute("begin immediate")
            row = self.one(db, token)
            if version is not None and version != str(row["version"]):
                raise Refused(409, "VERSION_CONFLICT")
            attributes = {**json.loads(row["attributes"]), **changes}
            kept = {name: value for name, value in attributes.items() if value is not None}
            db.execute(
                "update token set attributes = ?, version = version + 1 where id = ?",
                [json.dumps(kept), token],
            )
            return self.shown(self.one(db, token))

    def set(self, token, column, value):
        with self.open() as db:
            db.execute(
                f"update token set {column} = ?, version = version + 1"
                f" where id = ? and {column} is not ?",
                [value, token, value],
            )
            return self.shown(self.one(db, token))

    def delete(self, token):
        with self.open() as db:
            if db.execute("delete from token where id = ?", [token]).rowcount == 0:
                raise not_found()

    def consume(self, token, limit):
        with self.open() as db:
            # One statement checks and counts, so that nobody gets in between.
            row = db.execute(
                "update token set used = used + 1 where id = ? and enabled = 1 and used < ?"
                " returning used",
                [token, limit],
            ).fetchone()
            if row is not None:
                return {"result": "done", "used": row["used"]}
            enabled = self.one(db, token)["enabled"]
            return {"result": "exhausted" if enabled else "not_active"}

    def add_uses(self, uses):
        with self.open() as db:
            for one in uses:
                db.execute(
                    "update token set uses = uses + ? where id = ?", [one["accepted"], one["id"]]
                )

    def add(self, user):
        """A new token; its secret is printed once and stored nowhere."""
        secret = PREFIX + secrets.token_hex(4) + "_" + secrets.token_urlsafe(32)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        with self.open() as db:
            db.execute(
                "insert into token (user, selector, sha256) values (?, ?, ?)",
                [user, secret[:SELECTOR_LENGTH], digest],
            )
        return secret


def handler_of(table, key):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            """Nothing: a path names tokens."""

        def answer(self, status, body):
            text = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Counterfoil-Repo", "1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def signed(self, body):
            """Whether the request was signed with our key, lately."""
            if key is None:
                return True
            at = self.headers.get("Counterfoil-Timestamp", "")
            if not at.isdigit() or abs(time.time() - int(at)) > CLOCK_SKEW:
                return False
            digest = hashlib.sha256(body).hexdigest()
            text = f"{at}\n{self.command}\n{self.path}\n{digest}".encode()
            own = "v1=" + hmac.new(key, text, hashlib.sha256).hexdigest()
            return hmac.compare_digest(own, self.headers.get("Counterfoil-Signature", ""))

        def served(self):
            length = int(self.headers.get("Content-Length") or 0)
            if length > BODY_BYTES_MAX:
                self.close_connection = True
                return self.answer(413, None)
            body = self.rfile.read(length)
            try:
                if not self.signed(body):
                    raise Refused(401, "NOT_SIGNED")
                status, answer = self.route(json.loads(body) if body else {})
            except Refused as no:
                error = {"status": no.status, "code": no.code}
                if no.pointer:
                    error["source"] = {"pointer": no.pointer}
                status, answer = no.status, {"errors": [error]}
            except (ValueError, TypeError, KeyError):
                status, answer = 400, {"errors": [{"status": 400, "code": "BAD_REQUEST"}]}
            except sqlite3.Error:
                # Down is not "no": the server that asks answers 503 as well.
                status, answer = 503, {"errors": [{"status": 503, "code": "UNAVAILABLE"}]}
            self.answer(status, answer)

        do_GET = do_POST = do_PATCH = do_DELETE = served

        def route(self, body):
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            parts = [urllib.parse.unquote(part) for part in url.path.split("/")[1:]]
            version = (self.headers.get("If-Match") or "").strip('"') or None
            match [self.command, *parts]:
                case ["GET", "v1", "descriptor"]:
                    return 200, {
                        "protocol": PROTOCOL,
                        "software": "reference adapter",
                        "capabilities": CAPABILITIES,
                    }
                case ["GET", "v1", "health"]:
                    table.page(None, 0, 1)
                    return 200, {"status": "ok"}
                case ["POST", "v1", "lookup"]:
                    return 200, {"records": table.lookup(body["selector"])}
                case ["POST", "v1", "usage"]:
                    table.add_uses(body["uses"])
                    return 200, {}
                case ["GET", "v1", "tokens"]:
                    limit = min(max(int(query.get("limit", 50)), 1), 1000)
                    return 200, table.page(query.get("user"), int(query.get("cursor", 0)), limit)
                case ["POST", "v1", "tokens"]:
                    once = self.headers.get("Idempotency-Key") or secrets.token_hex(16)
                    return 201, table.create(body, once)
                case ["GET", "v1", "tokens", token]:
                    return 200, table.get(token)
                case ["PATCH", "v1", "tokens", token]:
                    return 200, table.update(token, body, version)
                case ["DELETE", "v1", "tokens", token]:
                    table.delete(token)
                    return 204, None
                case ["POST", "v1", "tokens", token, "enable"]:
                    return 200, table.set(token, "enabled", 1)
                case ["POST", "v1", "tokens", token, "disable"]:
                    return 200, table.set(token, "enabled", 0)
                case ["POST", "v1", "tokens", token, "assign"]:
                    return 200, table.set(token, "user", body["user"])
                case ["POST", "v1", "tokens", token, "unassign"]:
                    return 200, table.set(token, "user", None)
                case ["POST", "v1", "tokens", token, "consume"]:
                    return 200, table.consume(token, int(body["limit"]))
            raise Refused(405, "OPERATION_NOT_SUPPORTED")

    return Handler


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--db", required=True, help="the SQLite file")
    parser.add_argument("--listen", default="127.0.0.1:9400", help="address and port")
    parser.add_argument("--key-file", help="file of the key that requests are signed with")
    parser.add_argument("--add", metavar="USER", help="make a token, print its secret, and end")
    arguments = parser.parse_args()
    table = Table(arguments.db)
    if arguments.add:
        print(table.add(arguments.add))
        return
    key = None
    if arguments.key_file:
        with open(arguments.key_file, encoding="utf-8") as file:
            key = file.readline().strip().encode()
    host, port = arguments.listen.rsplit(":", 1)
    server = Server((host, int(port)), handler_of(table, key))
    print(f"listening on {host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
