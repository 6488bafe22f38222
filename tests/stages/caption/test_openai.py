"""The client against a server that misbehaves in each of the ways that servers do."""

import json
import math
import time
from dataclasses import replace

import pytest

from stages.caption.backends import BackendError, Settings, make, openai
from stages.caption.vlm.cache import Cache
from stages.caption.vlm.requests import Picture, Request
from tests.captioning.fake_vlm import FakeServer, good

REQUEST = Request("Say what it is.", (Picture("wrist", 0.5, b"\xff\xd8not looked at"),), "task: go", ("object",), 50)
SETTINGS = Settings(
    captioner="openai", model="m", device="cpu", batch=8, base_urls=(), in_flight=4, timeout_s=1.0, retries=2,
    api_key_env="NO_SUCH_KEY", requests_per_minute=None,
)  # fmt: skip


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(openai, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(openai, "REST_S", 0.2)
    monkeypatch.setattr(openai, "PATIENCE_S", 0.5)


@pytest.fixture
def server():
    made = []

    def start(*of, **more) -> FakeServer:
        made.append(FakeServer(*of, **more))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def backend(*servers: FakeServer, **changes):
    return make(replace(SETTINGS, base_urls=tuple(s.url for s in servers), **changes))


def many(number: int) -> list[Request]:
    return [replace(REQUEST, facts=f"task: {n}") for n in range(number)]


def test_answers_come_in_the_order_of_the_questions(server):
    one = server(lambda body: json.dumps({"object": body["messages"][0]["content"][-1]["text"].strip()}), seconds=0.01)
    found = backend(one).ask(many(20))
    assert [json.loads(a.text)["object"] for a in found] == [f"task: {n}" for n in range(20)]
    assert [a.tokens for a in found] == [(100, 20)] * 20
    assert all(math.isnan(a.confidence) for a in found)  # this server tells no probabilities


def test_requests_in_flight_are_bounded_and_used(server):
    one = server(good, seconds=0.05)
    backend(one, in_flight=4).ask(many(40))
    assert one.most == 4


def test_instructions_come_first_then_pictures_then_facts(server):
    seen = []
    one = server(lambda body: seen.append(body) or good(body))
    backend(one).ask([REQUEST])
    kinds = [(p["type"], p.get("text", "")[:4]) for p in seen[0]["messages"][0]["content"]]
    assert kinds == [("text", "Say "), ("text", "wris"), ("image_url", ""), ("text", "\n"), ("text", "task")]
    assert seen[0]["response_format"]["json_schema"]["schema"]["required"] == ["object"]


def test_errors_that_pass_are_tried_again(server):
    left = [(500, "oh"), (503, "oh")]
    one = server(lambda body: left.pop() if left else good(body))
    assert backend(one).ask([REQUEST])[0].status == "ok"


def test_a_server_that_asks_to_wait_is_waited_for(server):
    left = [(429, "slow down")]
    one = server(lambda body: left.pop() if left else good(body))
    assert backend(one).ask([REQUEST])[0].status == "ok"


def test_a_server_without_response_format_is_asked_without(server):
    one = server(lambda body: (400, "response_format is not supported") if "response_format" in body else good(body))
    found = backend(one).ask(many(5))
    assert {a.status for a in found} == {"ok"}


def test_a_server_with_other_names_for_its_settings_is_asked_by_those(server):
    def reasoning(body):
        unknown = {"max_tokens", "temperature", "logprobs"} & set(body)
        return (400, f"unsupported parameter: {unknown}") if unknown else good(body)

    one = server(reasoning)
    asked = backend(one)
    assert {a.status for a in asked.ask(many(5))} == {"ok"}
    before = one.requests
    asked.ask(many(3))
    assert one.requests == before + 3  # it is not tried in other ways any more


@pytest.mark.parametrize("answer", [(500, "oh"), (401, "who are you?")])
def test_what_is_never_answered_is_an_error(server, answer):
    one = server(lambda body: answer)
    (found,) = backend(one).ask([REQUEST])
    assert found.status == "error"
    assert str(answer[0]) in found.message


def test_a_server_that_hangs_is_an_error_in_time(server):
    one = server(good, seconds=3.0)
    started = time.monotonic()
    (found,) = backend(one, timeout_s=0.2, retries=1).ask([REQUEST])
    assert (found.status, time.monotonic() - started < 2.5) == ("error", True)


def test_nobody_there_ends_soon_however_many_ask(server):
    one = server()
    one.stop()
    started = time.monotonic()
    found = backend(one, retries=1).ask(many(300))
    assert {a.status for a in found} == {"error"}
    assert time.monotonic() - started < 20


def test_of_two_servers_the_one_that_lives_answers_all(server):
    one, other = server(), server()
    one.stop()
    found = backend(one, other).ask(many(30))
    assert {a.status for a in found} == {"ok"}
    assert sum(other.asked.values()) == 30


def test_both_servers_work(server):
    one, other = server(), server()
    backend(one, other).ask(many(40))
    assert min(sum(one.asked.values()), sum(other.asked.values())) >= 15


def test_a_filter_blocks(server):
    one = server(lambda body: (400, "content filter: the request violates our policy"))
    backend_ = backend(one)
    backend_.servers[0].dialect = 0  # it has answered before: the code is about the content
    assert backend_.ask([REQUEST])[0].status == "blocked"


def test_the_pace_is_kept(server):
    one = server()
    started = time.monotonic()
    backend(one, requests_per_minute=600.0).ask(many(6))
    assert time.monotonic() - started >= 0.5  # the first at once, then one every 0.1 s


def test_the_key_goes_to_the_server_alone(server, monkeypatch):
    monkeypatch.setenv("CAPTION_KEY", "sk-secret")
    one = server(lambda body: (500, "oh"))
    asked = backend(one, api_key_env="CAPTION_KEY", retries=0)
    (found,) = asked.ask([REQUEST])
    assert one.keys == {"Bearer sk-secret"}
    assert "sk-secret" not in f"{found} {asked.identity} {asked.settings} {asked.servers}"


def test_a_prompt_of_ten_megabytes_of_answer_is_cut(server):
    one = server(lambda body: "x" * 10**7)
    assert len(backend(one, timeout_s=20).ask([REQUEST])[0].text) == openai.MOST_BYTES


@pytest.mark.parametrize(
    "body",
    [
        {"choices": "many"}, {"choices": []}, {"choices": [None]}, {"error": {"message": "overloaded"}}, [], "text", 7,
        {"choices": [{"message": "text"}]}, {"choices": [{"message": {"content": 7}, "finish_reason": "stop"}]},
    ],
)  # fmt: skip
def test_a_body_that_is_no_answer_is_an_error_of_its_question(server, body):
    fine = {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]}
    one = server(lambda asked: body if "task: 1" in str(asked) else fine)
    one.raw = True
    found = backend(one, retries=0).ask(many(3))
    assert [a.status for a in found] == ["ok", "error", "ok"]


@pytest.mark.parametrize(
    "extra",
    [
        {"usage": {"prompt_tokens": "abc"}}, {"usage": [1]}, {"usage": {"prompt_tokens": 3_000_000_000}},
        {"choices": [{"message": {"content": "{}"}, "finish_reason": ["stop"], "logprobs": "x"}]},
        {"choices": [{"message": {"role": "assistant", "content": "\ud83d{}"}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": "{}"}, "logprobs": {"content": [{"logprob": 0.01}]}}]},
        {"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": "{}"}]}}]},
    ],
)  # fmt: skip
def test_odd_figures_of_an_answer_do_not_lose_it(server, extra, tmp_path):
    one = server(lambda _: {"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}], **extra})
    one.raw = True
    (found,) = backend(one, retries=0).ask([REQUEST])
    assert (found.status, found.text.endswith("{}")) == ("ok", True)
    assert 0 <= found.tokens[0] < 2**31
    assert math.isnan(found.confidence) or 0 <= found.confidence <= 1
    Cache(str(tmp_path)).add({"k": found})


def test_answers_are_told_as_they_come(server):
    one, told = server(good, seconds=0.01), []
    backend(one).ask(many(6), lambda n, a: told.append((n, a.status)))
    assert sorted(told) == [(n, "ok") for n in range(6)]


def test_what_a_server_asks_for_is_waited(server):
    until = time.monotonic() + 0.6
    one = server(lambda body: (429, "slow down") if time.monotonic() < until else good(body))
    one.headers = {"retry-after": "0.7"}
    assert {a.status for a in backend(one).ask(many(3))} == {"ok"}
    assert one.requests <= 9


@pytest.mark.parametrize("code", [401, 404, 500])
def test_of_two_servers_one_that_refuses_us_costs_nothing(server, code):
    one, other = server(lambda _: (code, "no")), server()
    assert {a.status for a in backend(one, other).ask(many(20))} == {"ok"}


def test_a_question_that_is_refused_for_good_is_not_unanswered(server):
    one = server(lambda body: (400, "too long") if "task: 1" in str(body) else good(body))
    found = backend(one).ask(many(3))
    assert [a.status for a in found] == ["ok", "blocked", "ok"]


def test_a_server_that_drips_is_no_answer_in_time(server):
    one = server(good)
    one.drip = 0.3
    started = time.monotonic()
    assert backend(one, timeout_s=0.5, retries=0).ask([REQUEST])[0].status == "error"
    assert time.monotonic() - started < 3


def test_no_server_is_an_error_with_a_cure():
    with pytest.raises(BackendError, match="base_urls"):
        backend()
