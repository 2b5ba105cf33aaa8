"""Where the metrics can be had: an HTTP server, a text file, both or neither, as the settings say.

Nothing here may stop the agent: what cannot be served is logged with its code, and tried again when the settings are
read again (SIGHUP), never by a timer.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from mcd_rt import __version__
from mcd_rt.effects import Effects
from mcd_rt.errors import AgentError, Code, Failure
from mcd_rt.frozen import frozen
from mcd_rt.hostpaths import HostPaths
from mcd_rt.model.listen import TcpAddress, UnixAddress, parse_listen
from mcd_rt.model.settings import Settings
from mcd_rt.report.httpserver import HttpServer, Request, Response, refusal
from mcd_rt.report.listening import forget, listen
from mcd_rt.report.metrics import Metrics
from mcd_rt.report.textfile import TextFile

if TYPE_CHECKING:
    from mcd_rt.report.collector import App

LOG = logging.getLogger("mcd_rt")

_PATIENCE = 10.0
_OPENMETRICS = "application/openmetrics-text"
_INDEX = f"mcd-rt {__version__}: its metrics are at /metrics\n".encode()


@frozen
class _Serving:
    """A server that runs: where it was asked to, and where it does, with a port that was bound."""

    asked: TcpAddress | UnixAddress
    address: TcpAddress | UnixAddress
    server: HttpServer


class Exposition:
    """The ways out of the metrics; use ``open_exposition``."""

    def __init__(self, effects: Effects, paths: HostPaths, metrics: Metrics, patience: float) -> None:
        """Nothing is served yet; ``patience`` is how many seconds a connection may last."""
        self._effects = effects
        self._paths = paths
        self._metrics = metrics
        self._patience = patience
        self._app: App | None = None
        self._serving: _Serving | None = None
        self._textfile: TextFile | None = None
        self._refused: Failure | None = None
        self._told: frozenset[Code] = frozenset()
        self._on_failures: Callable[[tuple[Failure, ...]], None] = lambda _failures: None

    @property
    def address(self) -> str:
        """Where the server listens, the port as bound; empty: nowhere."""
        return "" if self._serving is None else str(self._serving.address)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What does not work now."""
        unwritten = None if self._textfile is None else self._textfile.failure
        return tuple(failure for failure in (self._refused, unwritten) if failure is not None)

    def tell(self, on_failures: Callable[[tuple[Failure, ...]], None]) -> None:
        """Tell somebody what does not work, now and from now on."""
        self._on_failures = on_failures
        on_failures(self.failures)

    async def follow(self, settings: Settings) -> None:
        """Serve as these settings say from now on; what stays the same is not interrupted."""
        self._metrics.show_settings(settings)
        wanted = parse_listen(settings.metrics.listen)
        if self._serving is None or wanted != self._serving.asked:
            await self._stop_serving()
            if wanted is not None:
                await self._serve(wanted)
        self._follow_textfile(settings.metrics.textfile)
        self._show_failures()

    async def close(self) -> None:
        """Stop serving; the text file stays, and says that the agent does not run."""
        await self._stop_serving()
        self._metrics.on_change = None
        if self._textfile is not None:
            self._metrics.show_exit()
            self._textfile.close()

    async def _serve(self, wanted: TcpAddress | UnixAddress) -> None:
        try:
            listening = listen(self._effects, self._paths, wanted)
        except AgentError as error:
            LOG.error("%s", error.failure)
            self._refused = error.failure
            return
        bound = TcpAddress(*listening.getsockname()[:2]) if isinstance(wanted, TcpAddress) else wanted
        self._serving = _Serving(wanted, bound, HttpServer(self._answer, self._patience))
        await self._serving.server.start(listening)
        LOG.info("metrics are served on %s", bound)

    async def _stop_serving(self) -> None:
        serving, self._serving, self._refused = self._serving, None, None
        if serving is not None:
            await serving.server.close()
            forget(self._effects, self._paths, serving.asked)

    def _follow_textfile(self, wanted: str) -> None:
        path = self._paths.below(wanted) if wanted else None
        if self._textfile is not None and self._textfile.path != path:
            self._textfile.remove()
            self._textfile = self._metrics.on_change = None
        if self._textfile is None and path is not None:
            self._textfile = TextFile(self._effects, path, self._render)
            self._metrics.on_change = self._textfile.write_soon
            self._textfile.write_soon()

    def _show_failures(self) -> None:
        codes = frozenset(failure.code for failure in self.failures)
        for code in codes - self._told:
            self._metrics.count_failure(code)
        self._told = codes
        self._metrics.show_exposition(codes)
        self._on_failures(self.failures)

    def _render(self) -> bytes:
        from mcd_rt.report.collector import render_text  # noqa: PLC0415 - megabytes, only for whoever has the file on

        return render_text(self._metrics)

    async def _answer(self, request: Request) -> Response:
        match request.path:
            case "/metrics":
                return await self._scrape(request)
            case "/":
                return Response(HTTPStatus.OK, _INDEX)
            case _:
                return refusal(HTTPStatus.NOT_FOUND)

    async def _scrape(self, request: Request) -> Response:
        from mcd_rt.report.collector import make_app  # noqa: PLC0415 - megabytes, only once somebody scrapes

        self._show_failures()
        if self._app is None:
            self._app = make_app(self._metrics)
        told: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            told.append(event)

        # its parser of this field is not made for hostile clients: it is told one of the two it may choose
        accept = f"{_OPENMETRICS}; version=1.0.0" if _OPENMETRICS in request.accept else "text/plain; version=0.0.4"
        scope = {"type": "http", "query_string": request.query.encode(), "headers": [(b"accept", accept.encode())]}
        await self._app(scope, receive, send)
        start, body = told
        fields = {name.decode().title(): value.decode() for name, value in start["headers"]}
        return Response(HTTPStatus(start["status"]), body["body"], fields)


@asynccontextmanager
async def open_exposition(
    effects: Effects, paths: HostPaths, metrics: Metrics, settings: Settings, *, patience: float = _PATIENCE
) -> AsyncIterator[Exposition]:
    """The metrics can be had while the body runs; what cannot be served is logged, not raised.

    ``patience`` is how many seconds a connection may last, from its first byte to its last.
    """
    exposition = Exposition(effects, paths, metrics, patience)
    try:
        await exposition.follow(settings)
        yield exposition
    finally:
        await exposition.close()
