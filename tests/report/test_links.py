"""Links of a page about a corpus lead to the review page, from a file and from a server."""

from pipeline.cli.review import review as command
from pipeline.report.reviewed import links
from pipeline.review.serve import Options
from tests.review.server import client, review


def test_a_link_names_its_event():
    assert links.event("lab/000003/L1.left/0004250") == "http://localhost:8500/#event=lab/000003/L1.left/0004250"
    assert links.episode("lab/000003") == "http://localhost:8500/#episode=lab/000003"
    assert links.around("a&b/1/L1/0000000", "<b>x</b>") == (
        '<a href="http://localhost:8500/#event=a%26b/1/L1/0000000" target="review"><b>x</b></a>'
    )


def test_it_is_where_the_command_serves():
    (port,) = (o for o in command.params if o.name == "port")
    assert links.PORT == port.default == Options("corpus").port


def test_a_served_page_leads_to_its_own_server_and_text_that_looks_like_a_link_stays_text():
    page = f"{links.around('a/1/L1/0000000', 'x')} <p>href=&#34;http://localhost:8500/#event=b</p>"
    assert links.served(page.encode()).decode() == (
        '<a href="/#event=a/1/L1/0000000" target="review">x</a> <p>href=&#34;http://localhost:8500/#event=b</p>'
    )


def test_a_server_gives_the_report_out_to_those_who_may_and_no_script_could_run_in_it(tmp_path):
    own = review(tmp_path)
    web = client(own, follow_redirects=False)
    assert web.get("/report").status_code == 404
    path = tmp_path / "corpus/report.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"<h1>x</h1>{links.around('lab/000001/L1/0001000', 'y')}")
    answer = web.get("/report")
    assert answer.text == '<h1>x</h1><a href="/#event=lab/000001/L1/0001000" target="review">y</a>'
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "img-src data:", "media-src data:", "frame-ancestors 'none'"} <= set(policy)
    assert not [rule for rule in policy if rule.startswith(("script", "connect"))]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in web.get("/").headers["content-security-policy"]  # of every other page as it was
    stranger = client(own, {"bo": b"0" * 32}, follow_redirects=False).get("/report")
    assert (stranger.status_code, stranger.headers["location"]) == (303, "/")
    own.store.close()
