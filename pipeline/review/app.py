"""The HTTP side: what answers a request, and nothing else. `/openapi.json` documents it.

In: a `Review`, the corpus it is of, who may ask. Out: an ASGI application behind its guard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.types import ASGIApp

from pipeline.report.page import NAME
from pipeline.report.reviewed import links
from pipeline.review import models as wire
from pipeline.review import service
from pipeline.review.access import COOKIE, LASTS_S, Access
from pipeline.review.catalogue import ShownEvent
from pipeline.review.episode import UnknownEpisode
from pipeline.review.files import rows as flat
from pipeline.review.files import spans
from pipeline.review.guard import Guard
from pipeline.review.media import media
from pipeline.review.service import Conflict, Review
from schemas.events import PRIMITIVES
from schemas.ids import LEVELS
from stages import storage
from stages.fingerprint import fingerprint
from stages.review.edit import Ask, Impossible
from stages.review.figures import shift_bins

LOG = logging.getLogger("corpus.review")
STATIC = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
FILES = [resources.files("pipeline.review").joinpath(folder) for folder in ("static", "style")]
SCRIPTS = sorted(f.name for f in FILES[0].iterdir() if f.name.endswith(".js") and f.name != "sign_in.js")
NO_STORE = {"cache-control": "no-store"}
# The report brings its styles, pictures and clips with it. It has no script, and none could run.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PAUSE_S = 0.5  # after a token that is none
ROUTES = APIRouter()
TEMPLATES = Environment(
    loader=PackageLoader("pipeline.review"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True, slots=True)
class Server:
    """What routes need. level: of the events that people are shown first; leads: who may see how well people do at
    gold, None: whoever is let in."""

    review: Review
    access: Access
    level: str
    name: str
    leads: frozenset[str] | None = None

    def leads_it(self, who: str) -> bool:
        return self.leads is None or who in self.leads


def application(server: Server, hosts: Collection[str]) -> ASGIApp:
    """hosts: under which the server may be asked for, with port."""
    return Guard(answers(server), hosts)


def answers(server: Server) -> FastAPI:
    """What answers behind the guard."""
    app = FastAPI(title="corpus review", version="1", docs_url=None, redoc_url=None)
    app.state.server = server
    app.add_exception_handler(Impossible, _told(422))
    app.add_exception_handler(UnknownEpisode, _told(404))
    app.add_exception_handler(storage.Unusable, _told(503))
    app.include_router(ROUTES)
    return app


def _told(status: int) -> Any:
    """An error of ours as an answer."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        if status >= 500:
            LOG.error("%s", error)
        return JSONResponse({"detail": str(error)}, status)

    return answer


async def _server(request: Request) -> Server:
    found: Server = request.app.state.server
    return found


async def _actor(request: Request) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    cookie = request.cookies.get(COOKIE)
    who = (await _server(request)).access.who(cookie, bearer or None)
    if who is None:
        if bearer or cookie:
            LOG.warning("refused %s: a cookie or token that is none", ascii(request.url.path)[:200])
        raise HTTPException(401, "sign in first")
    return who


async def _wanted(
    source: str | None = None,
    task: str | None = None,
    level: wire.Level | None = None,
    track: wire.Track | None = None,
    primitive: str | None = None,
    status: str | None = None,
    vl: int | None = None,
    recovery: str | None = None,
    state: Literal["open", "accepted", "rejected", "skipped"] | None = None,
    episode: str | None = None,
    most: float | None = None,
    flagged: bool = False,
    doubt: bool = False,
    q: Annotated[str, Query(max_length=200)] = "",
) -> dict[str, Any]:
    """Which events are wanted: most: of confidence; doubt: signals and caption contradict each other; q: words of
    caption, task or episode."""
    return dict(locals())


On = Annotated[Server, Depends(_server)]
Who = Annotated[str, Depends(_actor)]
Wanted = Annotated[dict[str, Any], Depends(_wanted)]


@ROUTES.get("/", response_class=HTMLResponse, include_in_schema=False)
def page(request: Request, on: On) -> Response:
    who = on.access.who(request.cookies.get(COOKIE))
    name = "sign_in.html.j2" if who is None else "review.html.j2"
    html = TEMPLATES.get_template(name).render(
        corpus=on.name, me=who or "", level=on.level, tokens=on.access.tokens, scripts=SCRIPTS
    )
    return HTMLResponse(html, headers=NO_STORE)


@ROUTES.get("/static/{name}", include_in_schema=False)
def static(name: str) -> Response:
    stem, _, kind = name.rpartition(".")
    sound = stem.isidentifier() and kind in STATIC
    file = next((f for folder in FILES if sound and (f := folder.joinpath(name)).is_file()), None)
    if file is None:
        raise HTTPException(404, "no such file")
    return Response(file.read_bytes(), headers={"cache-control": "no-cache"}, media_type=STATIC[kind])


@ROUTES.post("/api/sign-in", status_code=204)
async def sign_in(body: wire.SignIn, on: On) -> Response:
    """A cookie for a name and its token."""
    cookie = on.access.sign_in(body.name, body.token)
    if cookie is None:
        LOG.warning("refused to sign in as %s", ascii(body.name))
        await asyncio.sleep(PAUSE_S)
        raise HTTPException(401, "no such name and token")
    response = Response(status_code=204)
    response.set_cookie(COOKIE, cookie, max_age=LASTS_S, httponly=True, samesite="strict", path="/")
    return response


@ROUTES.get("/sign-out", include_in_schema=False)
def sign_out() -> Response:
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE)
    return response


@ROUTES.get("/report", response_class=HTMLResponse, include_in_schema=False)
def report(request: Request, on: On) -> Response:
    """The report as its last build wrote it, with links to this server; whoever has not signed in does so first."""
    if on.access.who(request.cookies.get(COOKIE)) is None:
        return RedirectResponse("/", 303)
    try:
        written = storage.read_bytes(storage.join(on.review.root, NAME))
    except FileNotFoundError as error:
        raise HTTPException(404, "there is no report yet: corpus report writes it") from error
    return HTMLResponse(links.served(written), headers={**NO_STORE, "content-security-policy": REPORT_POLICY})


@ROUTES.get("/media/{path:path}", response_class=Response)
def file(path: str, request: Request, on: On, _: Who) -> Response:
    """A proxy or a strip of pictures that the corpus names, by byte ranges."""
    if not on.review.episodes.is_media(path):
        raise HTTPException(404, "the corpus names no such file")
    try:
        return media(storage.join(on.review.root, "media", path), request.headers.get("range"))
    except FileNotFoundError as error:
        raise HTTPException(404, "the corpus names it, and it is not there: corpus verify") from error


@ROUTES.get("/api/facets")
def facets(on: On, who: Who) -> wire.Facets:
    """What events can be filtered by, with how many there are of each."""
    with on.review.lock:
        found, version = on.review.catalogue.facets, on.review.version
    names, missing = {"primitives": list(PRIMITIVES), "levels": list(LEVELS)}, on.review.learning.now.missing
    return wire.Facets(facets=found, **names, level=on.level, version=version, missing=missing, lead=on.leads_it(who))


@ROUTES.get("/api/queue")
def queue(
    on: On,
    who: Who,
    wanted: Wanted,
    order: Literal["episode", "confidence", "rarity", "worth"] = "episode",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    second: bool = False,
) -> wire.Queue:
    """Events that are wanted, in order (worth: most likely errors a second of work first); second: those of a level
    that you are to judge blind, after others."""
    if second:
        rows = on.review.second_pass(who, wanted["level"] or on.level)
        total = len(rows)
    else:
        rows, total = on.review.queue(who, wanted, order, limit, offset)
    return wire.Queue(events=[wire.Event(**r) for r in rows[:limit]], total=total, held=on.review.held_by_others(who))


@ROUTES.get("/api/progress")
def progress(on: On, who: Who, wanted: Wanted) -> wire.Progress:
    """How much of what is wanted has been judged, and who has done how much."""
    return wire.Progress(**on.review.progress(wanted, who), me=who)


@ROUTES.get("/api/episode")
def episode(on: On, who: Who, id: Annotated[str, Query(pattern=wire.EPISODE)], second: bool = False) -> wire.Shown:
    """An episode's cameras, frames and spans; second: without what others have decided."""
    about = on.review.episodes.about(id)
    events, stale = on.review.of(id, who, second)
    return wire.Shown(about=about, events=[wire.Event(**e) for e in events], stale=stale)


@ROUTES.get("/api/lanes")
def lanes(on: On, _: Who, id: Annotated[str, Query(pattern=wire.EPISODE)]) -> dict[str, Any]:
    """Signals (0 to 1, at `ms`), candidate boundaries, and why each event of the machine lies where it does."""
    return dict(on.review.episodes.lanes(id))


@ROUTES.get("/api/cluster")
def cluster(
    on: On,
    _: Who,
    level: wire.Level,
    vl: int,
    state: Literal["open"] | None = None,
    limit: Annotated[int, Query(ge=1, le=60)] = 6,
) -> list[wire.Member]:
    """Some events of a cluster (state: those that nobody has judged), each with a strip of pictures of its episode,
    evenly from its beginning to its end."""
    found = on.review.members({"level": level, "vl": vl, "track": "all", "state": state}, limit)
    return [
        wire.Member(event=wire.Event(**row), strip=on.review.episodes.strip(row["episode"]), length_ms=ms)
        for row, ms in found
    ]


@ROUTES.get("/api/mine")
def mine(on: On, who: Who) -> list[dict[str, Any]]:
    """Your last decisions, newest first."""
    return [dict(row) for row in on.review.last(who)]


@ROUTES.get("/api/quality")
def quality(on: On, _: Who) -> wire.Quality:
    """How good the machine's events were, what reviewing costs, how far people agree."""
    found = on.review.quality()
    return wire.Quality(
        judged=found.judged,
        unedited=found.unedited,
        rejected=found.rejected,
        seconds={who: person.seconds_decision for who, person in found.people.items()},
        seconds_event={who: person.seconds_event for who, person in found.people.items()},
        shifts_s=list(found.shifts_s),
        shifts=shift_bins(found.shifts_s),
        reliability=list(found.reliability),
        agreement=found.agreed,
        twice=found.twice,
    )


@ROUTES.get("/api/learned")
def learned(on: On, _: Who) -> wire.Learned:
    """How far the machine's confidence is to be trusted, before and after it was calibrated on what was reviewed."""
    now = on.review.learning.now
    if now.calibration is None:
        return wire.Learned(events=now.events, missing=now.missing, before=None, after=None)
    before, after = (wire.Reliability(**asdict(r)) for r in (now.calibration.before, now.calibration.after))
    return wire.Learned(events=now.events, missing=0, before=before, after=after)


@ROUTES.get("/api/gold", responses={403: {"description": "only who is in charge sees it"}})
def gold(on: On, who: Who) -> wire.Gold:
    """How well people do at events whose right answer is known."""
    if not on.leads_it(who):
        raise HTTPException(403, "only who is in charge sees that")
    events = sum(len(own) for own in on.review.gold.answers.values())
    return wire.Gold(events=events, people={p: wire.Score(**asdict(s)) for p, s in on.review.gold_scores().items()})


@ROUTES.get("/api/export", response_class=Response, responses={403: {"description": "only who is in charge exports"}})
def exported(
    on: On,
    who: Who,
    format: Literal["jsonl", "csv", "parquet", "lerobot", "labelstudio"] = "jsonl",
    level: wire.Level | None = None,
    track: wire.Track = "all",
) -> Response:
    """All decisions, in order of time (where there is gold for who is in charge alone: what lacks there of one's own
    would be the gold); or the spans of a level and track as people left them: LeRobot's subtask columns in a zip, Label
    Studio's JSON."""
    if format in flat.FORMATS:
        if on.review.gold.answers and not on.leads_it(who):
            raise HTTPException(403, "while there is gold only who is in charge exports decisions")
        decided = on.review.store.all()
        return _file(f"decisions.{format}", flat.FORMATS[format](decided), flat.TYPES[format])
    found = spans.files(on.review.episodes.corpus, format, [level or on.level], track, on.review.spans)
    if format == "lerobot":
        return _file("subtasks.zip", spans.zipped(found), "application/zip")
    return _file(*found.popitem(), "application/json")


def _file(name: str, blob: bytes, kind: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', **NO_STORE}
    return Response(blob, headers=headers, media_type=kind)


@ROUTES.post("/api/decide", responses={409: {"model": wire.Refused}, 422: {"description": "it cannot be done"}})
def decide(body: wire.Decide, on: On, who: Who) -> Response:
    """Decide about an event. It is on the server's disk when this answers. 409: nothing was written, since somebody
    else was first; `events` are what is there now."""
    place = body.episode, body.level, body.track
    ask = Ask(body.action, body.at_ms, body.to_ms, body.until_ms, body.primitive, body.text)
    seen = fingerprint(body.seen)
    request = service.Request(body.decision_id, place, ask, seen, body.undoes, body.spent_ms, body.comment, body.blind)
    try:
        row = on.review.decide(request, who)
    except Conflict as error:
        found = {
            "kind": error.kind,
            "detail": str(error),
            "by": error.by,
            "events": _of(on.review, place, who, body.blind),
        }
        return JSONResponse(found, 409)
    answer = {
        "decision_id": row["decision_id"],
        "time_ms": row["time_ms"],
        "events": _of(on.review, place, who, body.blind),
    }
    return JSONResponse(wire.Decided.model_validate(answer).model_dump())


@ROUTES.post("/api/lease", status_code=204, responses={409: {"model": wire.Refused}})
def lease(body: wire.Lease, on: On, who: Who) -> Response:
    """Hold an episode for two minutes; each decision holds it anew."""
    try:
        on.review.lease(body.episode, who)
    except Conflict as error:
        return JSONResponse({"kind": error.kind, "detail": str(error), "by": error.by, "events": []}, 409)
    return Response(status_code=204)


def _of(review: Review, place: tuple[str, str, str], who: str, blind: bool) -> list[ShownEvent]:
    return [e for e in review.of(place[0], who, blind)[0] if (e["level"], e["track"]) == place[1:]]
