"""Pages of other sites are answered when they were named, and then only those."""

import pytest

OURS = "https://panel.example"
EVENT = {"type": "weather", "data": 1}


@pytest.fixture(scope="module")
def open_to_a_page(serve_in, tmp_path_factory):
    """A service that a page may ask, with a token."""
    directory = tmp_path_factory.mktemp("cors")
    return serve_in(directory, "--cors-origin", OURS, TELEMETRY_TOKEN="page-0123456789abcdef")


def preflight(service, origin):
    """Ask as a browser does before it sends what a page of *origin* wants to."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return service.ask("OPTIONS", "/event", headers=headers)


def test_the_page_that_was_named_may_ask(open_to_a_page):
    """The browser is told so before, without a token, and with the answer."""
    allowed = preflight(open_to_a_page, OURS)
    headers = {"Origin": OURS, "Sec-Fetch-Site": "cross-site"}
    token = "page-0123456789abcdef"
    answer = open_to_a_page.ask("POST", "/event", EVENT, token=token, headers=headers)

    assert (200, OURS) == (allowed.status, allowed.headers["access-control-allow-origin"])
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert (200, OURS) == (answer.status, answer.headers["access-control-allow-origin"])


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "http://panel.example", "https://panel.example.evil", "null"),
        *("https://panel.example:444", "https://sub.panel.example", "*", "HTTPS://PANEL.EXAMPLE.X"),
    ],
)
def test_no_other_page_is_told_anything(open_to_a_page, origin):
    """Its browser shows it nothing, and it changes nothing."""
    before = open_to_a_page.ask("GET", "/current", token="page-0123456789abcdef").text
    asked = open_to_a_page.ask(
        "POST", "/event", EVENT, token="page-0123456789abcdef", headers={"Origin": origin}
    )

    assert "access-control-allow-origin" not in preflight(open_to_a_page, origin).headers
    assert 403 == asked.status
    assert before == open_to_a_page.ask("GET", "/current", token="page-0123456789abcdef").text


def test_a_page_that_was_named_needs_a_token_all_the_same(open_to_a_page):
    """And can read that it does."""
    answer = open_to_a_page.ask("GET", "/current", headers={"Origin": OURS})
    assert (401, OURS) == (answer.status, answer.headers["access-control-allow-origin"])


def test_without_the_option_no_page_is_told_anything(serve):
    """The default says nothing to any browser."""
    service = serve()
    answer = service.ask("GET", "/current", headers={"Origin": OURS})

    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert 405 == preflight(service, OURS).status
