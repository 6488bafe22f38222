"""Whom the review server lets in, and what it refuses."""

import asyncio
import base64
import json

import pytest

from pipeline.review.access import Access, NoAccess, tokens_of
from pipeline.review.guard import MOST_BYTES, Guard
from pipeline.review.media import span_of
from tests.review.server import body, client, drawn, review, send, spans, written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nobody"),
        ("ada short\n", "under 16"),
        ("ada\n", "a name and a token"),
        (f"a {'x' * 16}\na {'y' * 16}", "two tokens"),
    ],
)
def test_token_files_that_would_let_nobody_or_anybody_in(tmp_path, text, words):
    with pytest.raises(NoAccess, match=words):
        tokens_of(written(tmp_path, text))


def test_cookies_are_signed(tmp_path):
    access = Access(b"k" * 32, tokens_of(written(tmp_path, "ada aaaaaaaaaaaaaaaaaaaa\n")))
    good = access.cookie("ada")
    assert access.who(good) == "ada"
    body, _, signature = good.rpartition(".")
    other = base64.urlsafe_b64encode(b"bo").decode().rstrip("=")
    forged = [f"{other}.{body.split('.')[1]}.{signature}", good[:-1] + "x", body, "", "..", "é.1.é", "a.b.c.d"]
    assert [access.who(c) for c in forged] == [None] * len(forged)
    assert access.who(Access(b"j" * 32, access.tokens).cookie("ada")) is None
    assert access.who(access.cookie("ada", now=0)) is None  # run out
    assert access.who(access.cookie("bo")) is None  # not in the file any more
    assert access.who(None, "ada:" + "a" * 20) == "ada"
    assert access.who(None, "ada:" + "b" * 20) is None


def test_nothing_is_shown_to_strangers(tmp_path, caplog):
    own = review(tmp_path)
    web = client(own, tokens_of(written(tmp_path, "ada aaaaaaaaaaaaaaaaaaaa\n")))
    for path in ("facets", "queue", "progress", "mine", "export", "episode?id=lab/000001", "lanes?id=lab/000001"):
        assert web.get(f"/api/{path}").status_code == 401, path
    assert web.get("/media/lab/000001/front.mp4").status_code == 401
    assert web.post("/api/decide", json={}).status_code == 401
    assert web.post("/api/sign-in", json={"name": "ada", "token": "wrong"}).status_code == 401
    assert web.get("/api/queue", headers={"authorization": "Bearer ada:wrong"}).status_code == 401
    assert web.get("/api/queue", headers={"cookie": "corpus_review=YWRh.99999999999.forged"}).status_code == 401
    assert [r.getMessage().split(":")[0] for r in caplog.records if r.name == "corpus.review"] == [
        "refused to sign in as 'ada'", *["refused '/api/queue'"] * 2,
    ]  # fmt: skip
    assert "csrf" not in web.get("/").text
    assert "data-me" not in web.get("/").text
    own.store.close()


def test_writes_come_from_our_page_or_a_program(web, caplog):
    asked = body(spans(web), 0, "accept", drawn())
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"x-corpus-review": None},
    ):
        sent = {k: v for k, v in headers.items() if v is not None}
        if None in headers.values():
            del web.headers["x-corpus-review"]
        assert web.post("/api/decide", json=asked, headers=sent).status_code == 403, headers
        web.headers["x-corpus-review"] = "1"
    form = {"content-type": "text/plain"}
    assert web.post("/api/decide", content=json.dumps(asked), headers=form).status_code == 415
    assert web.get("/api/queue", headers={"host": "evil.example"}).status_code == 421
    assert web.delete("/api/queue").status_code == 405
    assert web.post("/api/decide", json=asked, headers={"origin": "http://testserver"}).status_code == 200
    assert caplog.text.count("refused POST '/api/decide'") == 5


def test_large_bodies_and_climbing_paths_are_refused(web, tmp_path, caplog):
    assert (
        web.post("/api/decide", content=b"x" * 10_000_000, headers={"content-type": "application/json"}).status_code
        == 413
    )
    chunks = (b" " * 1000 for _ in range(MOST_BYTES // 1000 + 2))
    assert web.post("/api/decide", content=chunks, headers={"content-type": "application/json"}).status_code == 413
    (tmp_path / "corpus/media").mkdir(parents=True)
    for name in ("plan.parquet", "media/other.mp4"):  # they are there, and nobody gets them
        (tmp_path / "corpus" / name).write_bytes(b"secret")
    for path in (
        "/media/other.mp4", "/media/../plan.parquet", "/media/%2e%2e/plan.parquet", "/media//etc/passwd",
        "/static/..%2fapp.py", "/static/%2e%2e%2fapp.py", "/media/lab/000001/front.mp4/../../x",
    ):  # fmt: skip
        assert web.get(path).status_code == 404, path
    assert web.get("/api/episode", params={"id": "../../etc"}).status_code == 422
    assert caplog.text.count("a body has at most") == 2


def test_of_a_body_that_says_how_large_it_is_nothing_is_read():
    said = []

    async def send(message):
        said.append(message.get("status"))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"host", b"x"), (b"content-length", b"10000000")],
    }
    asyncio.run(Guard(None, {"x"})(scope, None, send))  # neither the body nor the application is asked for anything
    assert said[0] == 413


def test_words_of_people_stay_words(web):
    assert send(web, 0, "caption", text="<script>alert(1)</script>\x1b[31m").status_code == 200
    assert spans(web)[0]["text"] == "<script>alert(1)</script>\ufffd[31m"
    assert send(web, 0, "caption", text="x" * 401).status_code == 422


def test_every_answer_has_the_headers(web):
    for path in ("/", "/api/queue", "/api/nothing", "/static/app.js"):
        headers = web.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"


# -- ranges


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, (0, 100)),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=50-500", (50, 100)),
        ("bytes=100-", None),
        ("bytes=9-3", None),
        ("bytes=0-1,3-4", (0, 100)),
        ("bytes=-", (0, 100)),
        ("rows=1-2", (0, 100)),
    ],
)
def test_ranges(asked, found):
    assert span_of(asked, 100) == found
