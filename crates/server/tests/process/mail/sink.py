"""A mail server that puts what it takes into files, by aiosmtpd (Debian: python3-aiosmtpd).

Usage: sink.py PORT DIRECTORY [CERT KEY PASSWORD]

With a certificate it takes nothing before STARTTLS, and with a password nothing before a login.
The file DIRECTORY/mood, if there is one, says how it feels: `451` and `550` refuse every
recipient, `554` every text, `lost` takes the text and hangs up without an answer.
"""

import asyncio
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

PORT, HOME = int(sys.argv[1]), pathlib.Path(sys.argv[2])
TLS = sys.argv[3:6]


def mood():
    try:
        return (HOME / "mood").read_text().strip()
    except FileNotFoundError:
        return ""


class Handler:
    """Takes everything, in its mood."""

    def __init__(self):
        self.taken = len(list(HOME.glob("*.eml")))
        self.tried = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.tried += 1
        (HOME / "tried").write_text(str(self.tried))
        if mood() == "451":
            return "451 4.7.1 come back later"
        if mood() == "550":
            return "550 5.1.1 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if mood() == "554":
            return "554 5.6.0 not this text"
        self.taken += 1
        head = f"X-From: {envelope.mail_from}\r\nX-To: {','.join(envelope.rcpt_tos)}\r\n"
        head += f"X-Tls: {session.ssl is not None}\r\n"
        part = HOME / f"{self.taken:04}.part"
        part.write_bytes(head.encode() + envelope.content)
        part.rename(HOME / f"{self.taken:04}.eml")
        if mood() == "lost":
            (HOME / "mood").unlink()
            server.transport.abort()
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.password.decode() == TLS[2]
    return AuthResult(success=right)


def session():
    if not TLS:
        return SMTP(HANDLER, hostname="sink")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS[0], TLS[1])
    return SMTP(
        HANDLER,
        hostname="sink",
        tls_context=context,
        require_starttls=True,
        authenticator=login,
        auth_required=True,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", PORT)
    await server.serve_forever()


HANDLER = Handler()
asyncio.run(serve())
