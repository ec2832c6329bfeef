"""The connections to a service: the only module that knows httpx."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import orjson

from telemetry_http.errors import ServerUnreachableError, TelemetryClientError

if TYPE_CHECKING:
    import httpx
    from httpx_sse import ServerSentEvent

KEEPALIVE_EXPIRY_S = 4.0
"""Shorter than the 5 s after which ASGI servers close an idle connection unless told otherwise."""

_MAY_PASS = range(500, 600)
_SILENCE_S = 45.0


class Response(Protocol):
    """What a session gives back: as much of a response of requests or httpx as is read here."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def text(self) -> str:
        """The body as text."""

    def json(self) -> Any:
        """Return the body read as JSON, or raise ValueError."""


class Session(Protocol):
    """What can be given to send the requests: a `requests.Session`, a test client, a fake."""

    def request(
        self, method: str, url: str, *, json: Any, params: Any, timeout: float | None
    ) -> Response:
        """Send one request and return the response; with a token, *headers* are given, too."""


class Connections:
    """
    Kept-alive connections to the service at *base_url*, or the *session* in their place.

    Any number of threads may share them, and a fork, whose child makes connections of its own.
    """

    def __init__(
        self, base_url: str, *, timeout: float | None, token: str, session: Session | None
    ) -> None:
        self.base_url = base_url
        self.timeout = timeout
        self.session = session
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        # By process, and filled by one atomic call instead of under a lock: a thread of the
        # parent may hold a lock at the moment of the fork, and nobody would ever release it.
        self._pools: dict[int, httpx.Client] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pools": {}}

    def close(self) -> None:
        """Close the connections once no thread waits for an answer; a later call makes new ones."""
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, is_repeatable: bool = False
    ) -> dict[str, Any]:
        """
        Send a request and return the object that answers it.

        Raises:
            TelemetryClientError: It is answered with an error, or by something else.
            ServerUnreachableError: It is not answered.
        """
        response = self.send(method, path, body, is_repeatable=is_repeatable or method == "GET")
        answer = json_of(response)
        if not 200 <= response.status_code < 300:  # noqa: PLR2004 - the successful ones
            raise error_of(response, answer)
        if not isinstance(answer, dict):
            self.reject(response.text)
        return answer

    def reject(self, answer: object) -> NoReturn:
        """Raise the error for an *answer* that no telemetry service gives."""
        detail = f"{answer!r:.200} is no answer of a telemetry service; check {self.base_url!r}"
        raise TelemetryClientError(200, detail) from None

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        is_repeatable: bool,
        media_type: str = "application/json",
    ) -> Response:
        """
        Send a request and return what answers it, once more if it *is_repeatable* and breaks.

        Raises:
            ServerUnreachableError: Nothing does.
        """
        import httpx

        try:
            if self.session is not None:
                return self.session.request(
                    method,
                    self.base_url + path,
                    json=None if body is None else orjson.loads(body),
                    params=None,
                    timeout=self.timeout,
                    **({"headers": self._headers} if self._headers else {}),
                )
            try:
                return self._send_pooled(method, path, body, media_type)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # Most often the server closed an idle connection just as it was to be used again.
                if not is_repeatable:
                    raise
                return self._send_pooled(method, path, body, media_type)
        except (httpx.RequestError, httpx.InvalidURL, OSError, UnicodeError) as error:
            # UnicodeError is what the resolver says to a host name that cannot be one.
            reason = _reason_of(error, self.timeout, changes=method != "GET")
            raise ServerUnreachableError(self.base_url, reason) from error

    def _send_pooled(
        self, method: str, path: str, body: bytes | None, media_type: str
    ) -> httpx.Response:
        return self._pool().request(
            method,
            self.base_url + path,
            content=body,
            headers=None if body is None else {"content-type": media_type},
            timeout=self.timeout,
        )

    def _pool(self) -> httpx.Client:
        pid = os.getpid()
        pool = self._pools.get(pid)
        if pool is None:
            made = _make_pool(self.base_url, self._headers)
            pool = self._pools.setdefault(pid, made)
            if pool is not made:
                made.close()
        return pool

    def events(self, path: str, cursor: int | None) -> Iterator[ServerSentEvent]:
        """
        Yield what comes over one connection to the stream at *path*, until it ends.

        Raises:
            TelemetryClientError: It is answered with an error.
            ServerUnreachableError: There is no connection, or not any more.
        """
        import httpx
        import httpx_sse

        headers = {} if cursor is None else {"Last-Event-ID": str(cursor)}
        # The service breaks its silence more often than that.
        timeout = httpx.Timeout(self.timeout, read=_SILENCE_S)
        try:
            with httpx_sse.connect_sse(
                self._pool(), "GET", self.base_url + path, headers=headers, timeout=timeout
            ) as source:
                response = source.response
                if response.status_code in _MAY_PASS:
                    raise ServerUnreachableError(self.base_url, f"status {response.status_code}")
                if response.status_code != 200:  # noqa: PLR2004
                    response.read()
                    raise error_of(response, json_of(response))
                yield from source.iter_sse()
        except (httpx.RequestError, httpx.InvalidURL, OSError, UnicodeError) as error:
            if isinstance(error, ServerUnreachableError):
                raise
            reason = _reason_of(error, self.timeout, changes=False)
            raise ServerUnreachableError(self.base_url, reason) from error


def _make_pool(base_url: str, headers: dict[str, str]) -> httpx.Client:
    import httpx

    transport = httpx.HTTPTransport(
        # Reading the certificates takes longer than a hundred requests, and http has none.
        verify=base_url.lower().startswith("https:"),
        limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEPALIVE_EXPIRY_S),
    )
    # A transport of our own is never replaced by a proxy that the environment names.
    return httpx.Client(transport=transport, headers=headers)


def json_of(response: Response) -> Any:
    """Return the JSON in *response*, `None` if it is none."""
    try:
        return response.json()
    except ValueError:
        return None


def error_of(response: Response, answer: Any) -> TelemetryClientError:
    """Return the error that *response* is, with *answer* as its JSON."""
    detail = answer.get("detail") if isinstance(answer, dict) else None
    return TelemetryClientError(response.status_code, str(detail or response.text[:200]))


def _reason_of(error: Exception, timeout: float | None, *, changes: bool) -> str:
    """Return why there is no answer, and whether what was to be changed may be so."""
    import httpx

    if isinstance(error, (httpx.ConnectTimeout, httpx.PoolTimeout)):
        return f"no connection within {timeout} s"
    if isinstance(error, (httpx.ConnectError, httpx.InvalidURL, UnicodeError)):
        return str(error)
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        reason = f"no answer within {timeout} s"
    else:
        reason = str(error) or type(error).__name__
    return f"{reason}, and what was asked may have been done" if changes else reason
