"""The review page's server: this machine's people only, one folder, no framework.

It listens on 127.0.0.1. Whoever opens the printed address shows its token and gets a cookie; every
other request needs the cookie, this server's own name as `Host`, and no foreign `Origin`, so that
neither other users of the machine nor pages in the same browser get in. Texts and pictures of rows
are hostile: the page gets texts as JSON and shows them as text, pictures are sent as what their
first bytes say they are and never as documents, and the page may load nothing but its own files.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import os
import secrets
import signal
import webbrowser
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from operators.media_types import HEAD_BYTES, sniffed
from operators.pixels import ImageError, decoded, on_white
from operators.review_decisions import REASONS, Turn
from pipelines.review_figures import figures
from pipelines.review_log import ReviewLog
from pipelines.review_queue import NotAllowed, ReviewItem, ReviewPlan, ReviewQueue
from schemas.errors import InputError

_PAGE = Path(__file__).parent / "review_page"
_FILES = {
    "/": ("index.html", "text/html"),
    "/review.css": ("review.css", "text/css"),
    "/review.js": ("review.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_SHOWN_AS_THEY_ARE = ("jpeg", "png", "gif", "webp", "avif")
_LEADS_ON = (
    '<!DOCTYPE html><title>Review</title><link rel="icon" href="icon.svg">'
    '<meta http-equiv="refresh" content="0;url=/">'
)
_MAX_BODY = 1 << 20
_MAX_TEXT = 20_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    reviewer: str = Field(min_length=1, max_length=40)

    @field_validator("reviewer")
    @classmethod
    def _name(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("a name has no line breaks, and no blanks around it")
        return name


class _Have(_Asked):
    have: list[str] = Field([], max_length=200)


class _Next(_Have):
    want: bool = True


class _Entry(_Asked):
    entry: str = Field(pattern="^[0-9a-zA-Z-]{8,64}$")


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    question: str = Field(max_length=_MAX_TEXT)
    answer: str = Field(max_length=_MAX_TEXT)


class _Decide(_Entry):
    id: str
    action: Literal["accept", "edit", "reject", "skip", "manual"]
    seconds: float = Field(ge=0, allow_inf_nan=False)
    reason: str | None = None
    turns: list[_Turn] | None = Field(None, max_length=40)
    options: list[str] | None = Field(None, max_length=26)


Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ReviewServer:
    """The page and its interface over one queue."""

    def __init__(self, queue: ReviewQueue, reviewer: str | None = None) -> None:
        self.queue = queue
        self.reviewer = reviewer
        self.token = secrets.token_urlsafe(32)
        self._ticket: str | None = None
        self.port = 0

    def app(self) -> web.Application:
        """The application; `port` must be set before it answers."""
        app = web.Application(middlewares=[self._guard], client_max_size=_MAX_BODY)
        for path in _FILES:
            app.router.add_get(path, self._file)
        app.router.add_get("/api/config", self._config)
        app.router.add_get("/api/figures", self._figures)
        app.router.add_get("/api/image/{id}", self._image)
        app.router.add_post("/api/next", self._next)
        app.router.add_post("/api/decide", self._decide)
        app.router.add_post("/api/undo", self._undo)
        app.router.add_post("/api/unskip", self._unskip)
        app.router.add_post("/api/release", self._release)
        app.router.add_post("/api/manual", self._manual)
        return app

    @property
    def address(self) -> str:
        """What to open, with the token."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def address_for_once(self) -> str:
        """What a browser is started with: other users can read its arguments, so it works once."""
        self._ticket = secrets.token_urlsafe(32)
        return f"http://127.0.0.1:{self.port}/?token={self._ticket}"

    # Who may ask

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = self._refusal(request) or await handler(request)
        except NotAllowed as error:
            response = _problem(422, str(error))
        except web.HTTPException as error:
            response = _problem(error.status, error.reason)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _refusal(self, request: web.Request) -> web.StreamResponse | None:
        """Why the request is not answered; None when it is."""
        hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        if request.headers.get("Host") not in hosts:
            return _problem(421, "this server answers to its own address only")
        if request.method == "GET" and request.path == "/" and "token" in request.query:
            return self._welcome(request)  # wherever the link stood: who has it was given it
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.headers['Host']}":
            return _problem(403, "another page asks")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return _problem(403, "another page asks")
        if not self._is_token(request.cookies.get(self._cookie, "")):
            return _problem(
                401, "Open the address that `omniloom review` printed: it holds the token."
            )
        if request.method == "POST" and request.content_type != "application/json":
            return _problem(415, "JSON is asked for")
        return None

    def _welcome(self, request: web.Request) -> web.StreamResponse:
        """The cookie, on a page that leads on: browsers keep it back from a link's own redirect."""
        said = request.query["token"]
        is_ticket = self._ticket is not None and _same(said, self._ticket)
        if not is_ticket and not self._is_token(said):
            return _problem(401, "The token is another one: open the address printed last.")
        if is_ticket:
            self._ticket = None
        response = web.Response(text=_LEADS_ON, content_type="text/html")
        response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict", path="/")
        return response

    def _is_token(self, said: str) -> bool:
        return _same(said, self.token)

    @property
    def _cookie(self) -> str:
        return f"omniloom_review_{self.port}"  # cookies do not tell ports apart

    # What it answers

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name, kind = _FILES[request.path]
        return web.Response(body=(_PAGE / name).read_bytes(), content_type=kind, charset="utf-8")

    async def _config(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {
                "reviewer": self.reviewer,
                "reasons": REASONS,
                "idle_seconds": self.queue.plan.idle_seconds,
                "lease_seconds": self.queue.plan.lease_seconds,
            }
        )

    async def _next(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request, _Next)
        self.queue.hold(asked.reviewer, asked.have)
        item = self.queue.next(asked.reviewer) if asked.want else None
        skipped = len(self.queue.skipped(asked.reviewer)) if asked.want and not item else 0
        state = self._state(asked.reviewer)
        return web.json_response(state | {"item": _shown(item), "skipped": skipped})

    async def _decide(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request, _Decide)
        self.queue.decide(
            asked.reviewer,
            asked.entry,
            asked.id,
            asked.action,
            seconds=asked.seconds,
            time=_now(),
            reason=asked.reason,
            turns=[Turn(question=t.question, answer=t.answer) for t in asked.turns or ()],
            options=asked.options,
        )
        return web.json_response(self._state(asked.reviewer))

    async def _undo(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request, _Entry)
        item = self.queue.undo(asked.reviewer, asked.entry, _now())
        return web.json_response(self._state(asked.reviewer) | {"item": _shown(item)})

    async def _unskip(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request, _Entry)
        self.queue.take_skips_back(asked.reviewer, asked.entry, _now())
        return web.json_response(self._state(asked.reviewer))

    async def _release(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request, _Have)
        self.queue.release(asked.reviewer, asked.have)
        return web.json_response({})

    async def _manual(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request, _Asked)
        item = self.queue.manual(asked.reviewer)
        return web.json_response({"item": _blank(item)})

    async def _figures(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(figures(self.queue).as_json())

    async def _image(self, request: web.Request) -> web.StreamResponse:
        item = self.queue.items.get(request.match_info["id"])
        data = item.picture() if item else None
        if not data:
            return _problem(404, "no picture is stored for this row")
        try:
            data, kind = _for_browsers(data)
        except ImageError as error:
            return _problem(404, str(error))
        headers = {
            "Cache-Control": "private, max-age=3600",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return web.Response(body=data, content_type=f"image/{kind}", headers=headers)

    def _state(self, reviewer: str) -> dict[str, Any]:
        waiting = self.queue.waiting
        reviews = self.queue.reviews
        total = len(self.queue.items)
        return {
            "progress": {
                "planned": total,
                "done": total - waiting.total(),
                "waiting": waiting["more"],
                "mine": reviews.rows[reviewer],
                "seconds": reviews.spent[reviewer],
            }
        }


def serve(
    items: Iterable[ReviewItem],
    plan: ReviewPlan,
    folder: str | Path,
    reviewer: str | None = None,
    port: int = 0,
    open_browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the review page until interrupted; decisions go to `folder` as they are made.

    Args:
        items: The rows that may be reviewed; the plan picks among them.
        plan: What is reviewed, and how often.
        folder: Of the log; made where it is not there, gone on with where it is.
        reviewer: Who reviews; None: the page asks.
        port: To listen on, on 127.0.0.1; 0: any that is free.
        open_browser: Whether to open the page.
        say: Told the address, and at the end how far it got.

    Raises:
        InputError: no row is under review, the folder is open elsewhere, or the port is taken.
    """
    with ReviewLog(folder) as log:
        queue = ReviewQueue(items, plan, log)
        if not queue.items:
            raise InputError(
                "there is nothing to review: the plan picks no row\n"
                "    fix: raise its share or count, or run the job first"
            )
        server = ReviewServer(queue, reviewer)
        asyncio.run(_run(server, port, open_browser, say))
        left = queue.waiting.total()
        say(f"{len(queue.items) - left} of {len(queue.items)} rows are done; decisions: {folder}")


async def _run(
    server: ReviewServer, port: int, open_browser: bool, say: Callable[[str], None]
) -> None:
    runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            raise InputError(
                f"port {port}: {os.strerror(error.errno or 0)}\n"
                "    fix: name another port, or 0 for a free one"
            ) from error
        server.port = runner.addresses[0][1]
        over = _interrupted()
        say(f"review page  {server.address}")
        say("Ctrl-C ends it; every decision is on the disk as soon as it is made")
        if open_browser:
            await asyncio.to_thread(webbrowser.open, server.address_for_once())
        await over.wait()
    finally:
        await runner.cleanup()


def _interrupted() -> asyncio.Event:
    """What Ctrl-C, or a request to end, sets from now on."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, over.set)
    return over


async def _body(request: web.Request, kind: type[Body]) -> Body:
    """What was asked.

    Raises:
        NotAllowed: it is not what is asked here.
    """
    try:
        return kind.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise NotAllowed(f"{place}: {first['msg']}") from None


def _same(said: str, secret: str) -> bool:
    """Whether they are equal, in a time that does not tell how far."""
    return hmac.compare_digest(said.encode(errors="replace"), secret.encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _problem(status: int, message: str) -> web.Response:
    return web.json_response({"problem": message}, status=status)


def _shown(item: ReviewItem | None) -> dict[str, Any] | None:
    if item is None:
        return None
    return {
        "id": item.instruction_id,
        "kind": item.kind,
        "domain": item.domain,
        "lang": item.lang,
        "turns": [turn.model_dump() for turn in item.turns],
        "options": item.options,
        "answer_prompt": item.answer_prompt,
        "captions": item.captions,
        "image_text": item.image_text,
        "page_title": item.page_title,
        "verdicts": [vars(verdict) for verdict in item.verdicts],
    }


def _blank(item: ReviewItem | None) -> dict[str, Any] | None:
    """A row to be written from nothing: as many questions and options, and no words."""
    if item is None:
        return None
    return {
        "id": item.instruction_id,
        "kind": item.kind,
        "domain": item.domain,
        "lang": item.lang,
        "turns": [{"question": "", "answer": ""} for _ in item.turns],
        "options": ["" for _ in item.options],
    }


def _for_browsers(data: bytes) -> tuple[bytes, str]:
    """Bytes that browsers show, and their kind; other formats are written anew as PNG.

    Raises:
        ImageError: it is no picture.
    """
    kind = sniffed(data[:HEAD_BYTES])
    if kind in _SHOWN_AS_THEY_ARE:
        return data, kind
    stream = io.BytesIO()
    on_white(decoded(data).image).save(stream, "PNG")
    return stream.getvalue(), "png"
