"""What holds for every answer: who may be asking, and what a browser may do with it."""

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
OF_THIS_MACHINE = "localhost"


class Guard:
    """Answers those who ask by an address, by `localhost` or by one of `names`.

    A page of somebody else's may give its own name the explorer's address, and have its visitors' browsers read
    what they see there; such a browser asks by that name.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = {OF_THIS_MACHINE, *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with `HEADERS`."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        host = Headers(scope=scope).get("host", OF_THIS_MACHINE) if scope["type"] == "http" else OF_THIS_MACHINE
        if self._knows(host):
            await self._app(scope, receive, send_guarded)
        else:
            told = f"The explorer does not know itself as {host!r}; start it with --name {host.partition(':')[0]}\n"
            await PlainTextResponse(told, status_code=421)(scope, receive, send_guarded)

    def _knows(self, host: str) -> bool:
        name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
        return name.lower() in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
