"""`corpus review` from start to end: opens the store, serves, reads the corpus, publishes every minute and on the way
out.

In: a corpus, an address. Out: nothing, but what people have decided. A corpus that is built anew meanwhile is taken up
at the next look; what was decided is laid over it.
"""

from __future__ import annotations

import getpass
import logging
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import uvicorn

from pipeline.corpus import record
from pipeline.corpus.view import Corpus
from pipeline.report.reviewed.links import PORT
from pipeline.review.access import Access, NoAccess, is_loopback, tokens_of
from pipeline.review.app import Server, answers
from pipeline.review.catalogue import Catalogue, events_of
from pipeline.review.episode import Episodes
from pipeline.review.guard import Guard
from pipeline.review.loop.gold import Gold, gold_of
from pipeline.review.reading import Reading
from pipeline.review.service import Review
from pipeline.review.store import Store, default_store
from schemas.reasons import Quarantined
from stages import storage

LOG = logging.getLogger("corpus.review")
EVERY_S = 60.0  # decisions are published and learned from, and a new build is looked for
LEARN_S = 10.0  # whether enough was judged since to learn from
SHOWN = 5  # levels of gold that cannot be used


@dataclass(frozen=True, slots=True)
class Options:
    """names: under which the server is asked for besides its address, where a proxy stands before it; gold: label files
    of events whose right answer is known; leads: of those who sign in, who sees how well people do at them."""

    root: str
    host: str = "127.0.0.1"
    port: int = PORT
    tokens: str | None = None
    store: str | None = None
    names: tuple[str, ...] = ()
    browser: bool = True
    gold: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    every_s: float = EVERY_S


def serve(options: Options, say: Callable[[str], None]) -> None:
    """Until Ctrl-C. Raises NoAccess, NoCorpus, StoreInUse, storage.Unusable, DamagedDecisions."""
    tokens = tokens_of(options.tokens) if options.tokens else None
    if tokens is None and not is_loopback(options.host):
        raise NoAccess(
            f"--host {options.host}: others could reach it, so that they must sign in: give --tokens FILE, with a line "
            "`name token` for each of them"
        )
    strangers = sorted(set(options.leads) - (tokens or {}).keys())
    if strangers:
        raise NoAccess(f"--lead {strangers[0]}: there is no token for that name")
    root = storage.normalise(options.root)
    listening = _socket(options.host, options.port)
    port = listening.getsockname()[1]
    built, corpus = _built(root), Corpus(root)
    store = Store(options.store or default_store(root))
    try:
        say(f"decisions are kept in {store.path} and published to {root}/decisions")
        access = Access(store.secret(), tokens, getpass.getuser())
        url = f"http://{'localhost' if is_loopback(options.host) else options.host}:{port}/"
        say(f"review at {url}   (Ctrl-C ends it)")
        if options.browser:
            threading.Timer(0.5, webbrowser.open, [url]).start()
        beside = Beside(lambda: opened(corpus, store, access, options.gold, options.leads), built, options.every_s, say)
        with suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended in order
            _run(beside, listening, hosts(options, port))
        if beside.failed is not None:
            raise beside.failed
        published = beside.server.review.publish() if beside.server else 0
        say(f"{published} decisions published on the way out" if published else "all decisions are published")
    finally:
        store.close()
        listening.close()


def opened(corpus: Corpus, store: Store, access: Access, gold: Sequence[str] = (), leads: Sequence[str] = ()) -> Server:
    """A server of a corpus as it is now. Raises LabelError where nothing of gold's files can be used."""
    catalogue, episodes = read(corpus)
    review = Review(corpus.root, store, catalogue, episodes, gold=gold_of(gold, catalogue, episodes))
    in_charge = None if access.tokens is None else frozenset(leads)
    return Server(review, access, corpus.level(), storage.name_of(corpus.root), in_charge)


def gold_lines(gold: Gold) -> list[str]:
    """What there is of gold, and what cannot be used."""
    if not gold.answers:
        return []
    number = sum(len(own) for own in gold.answers.values())
    head = f"gold: {number} events of {len(gold.answers)} levels of episodes are dealt among the others"
    return [
        *gold.refused[:SHOWN],
        *[f"gold: {len(gold.refused) - SHOWN} more not used"][: len(gold.refused) > SHOWN],
        head,
    ]


def read(corpus: Corpus) -> tuple[Catalogue, Episodes]:
    episodes = Episodes(corpus)
    episodes.clips()  # now, not when somebody waits for the first picture
    return Catalogue(events_of(corpus)), episodes


def hosts(options: Options, port: int) -> set[str]:
    """What a browser may call us."""
    own = {"localhost", "127.0.0.1", "[::1]"} if is_loopback(options.host) else set()
    bare = f"[{options.host}]" if ":" in options.host else options.host
    every = {*own, bare, *(n.lower() for n in options.names)} - {"0.0.0.0", "[::]"}
    if not own and options.host in ("0.0.0.0", "::"):
        every |= {socket.gethostname().lower(), socket.getfqdn().lower(), *_addresses()}
    return {f"{name}:{port}" for name in every} | {n.lower() for n in options.names}


def _addresses() -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError:
        return set()


def _socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)  # who comes before the server is up waits, and is not turned away
    except OSError as error:
        listening.close()
        raise NoAccess(
            f"--host {host} --port {port}: {error.strerror}; another port: --port 0 takes a free one"
        ) from error
    return listening


class Beside(threading.Thread):
    """Reads the corpus while the server is up already, then publishes and takes up new builds, every so often; what
    goes wrong then is logged and tried again. failed: why the corpus could not be read."""

    def __init__(self, make: Callable[[], Server], built: str, every_s: float, say: Callable[[str], None]) -> None:
        """built: `_built` before anything of what `make` reads was read: a build may end meanwhile."""
        super().__init__(daemon=True)
        self.make, self.built, self.every_s, self.say = make, built, every_s, say
        self.app, self.ended = Reading(), threading.Event()
        self.server: Server | None = None
        self.failed: Exception | None = None
        self.end: Callable[[], None] = lambda: None

    def run(self) -> None:
        began = time.monotonic()
        try:
            server = self.make()
        except Exception as error:  # the main thread raises it
            self.failed = error
            return self.end()
        self._try(self._learn, server)  # else the page would say that nothing was judged yet
        self.server, self.app.app = server, answers(server)
        self.say(f"{len(server.review.catalogue)} events, read in {time.monotonic() - began:.1f} s")
        for line in gold_lines(server.review.gold):
            self.say(line)
        due = time.monotonic()  # at once: a build may have ended while this one was read
        while not self.ended.wait(max(0.0, min(due - time.monotonic(), LEARN_S))):
            if time.monotonic() >= due:
                due = time.monotonic() + self.every_s
                self._try(self._publish, server)
                self._try(self._take_up, server)
            self._try(self._learn, server)

    def _try(self, step: Callable[[Server], None], server: Server) -> None:
        """What fails does not keep the rest: people go on deciding, and nobody else would publish."""
        try:
            step(server)
        except Exception as error:
            known = isinstance(error, storage.Unusable | OSError | Quarantined | record.DamagedPlan)
            LOG.error("%s; tried again in %g s", error, self.every_s, exc_info=None if known else error)

    def _publish(self, server: Server) -> None:
        server.review.publish()

    def _take_up(self, server: Server) -> None:
        now = _built(server.review.root)
        if now != self.built:
            server.review.take(*read(Corpus(server.review.root)))
            self.built = now

    def _learn(self, server: Server) -> None:
        server.review.learn()


def _run(beside: Beside, listening: socket.socket, names: set[str]) -> None:
    config = uvicorn.Config(
        Guard(beside.app, names), log_level="warning", access_log=False, timeout_keep_alive=15,
        limit_concurrency=512, timeout_graceful_shutdown=3, server_header=False,
    )  # fmt: skip
    web = uvicorn.Server(config)
    beside.end = lambda: setattr(web, "should_exit", True)
    beside.start()
    try:
        web.run([listening])
    finally:
        beside.ended.set()
        beside.join()


def _built(root: str) -> str:
    """Changes with every build that came to an end."""
    manifest = record.copy(root) or {}
    return f"{manifest.get('sha256')} {manifest.get('complete')}" if manifest.get("complete") else "at it"
