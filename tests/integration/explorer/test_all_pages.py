"""What holds for every page that can be reached: it is there, it is sound HTML, and it can be read without eyes."""

import re
from collections import Counter
from itertools import pairwise

import pytest

from shared.store.views.records import VIEWS
from tests.integration.explorer.browsing import Page, Site

Crawled = dict[str, Page]


@pytest.fixture(scope="module")
def crawled(site: Site) -> Crawled:
    """Everything that links lead to, from the list of runs on."""
    return site.crawl()


@pytest.fixture(scope="module")
def pages(crawled: Crawled) -> Crawled:
    """The pages among it."""
    return {address: page for address, page in crawled.items() if "html" in page.headers["content-type"]}


def test_every_link_leads_to_something(crawled: Crawled) -> None:
    assert {address: page.status for address, page in crawled.items() if page.status != 200} == {}
    kinds = Counter(address.split("/")[2] for address in crawled if address.startswith("/records/"))
    assert kinds.keys() == VIEWS.keys() - {"example"}


def test_nothing_leads_away_and_nothing_is_run(crawled: Crawled) -> None:
    for address, page in crawled.items():
        assert not [link for link in page.links(address) if re.match(r"\w+:|//", link)]
        assert not page.all("script", "iframe", "object", "base")
        assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]


def test_each_answer_says_what_a_browser_may_do_with_it(crawled: Crawled) -> None:
    for page in crawled.values():
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self';")
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in page.headers


def test_no_element_has_a_style_of_its_own(pages: Crawled) -> None:
    for page in pages.values():
        assert not page.all("style")
        assert not [attributes for _, attributes in page.elements if "style" in attributes]


def test_each_page_has_landmarks_one_heading_and_a_title_of_its_own(pages: Crawled) -> None:
    for page in pages.values():
        assert page.all("html") == [{"lang": "en"}]
        assert [len(page.all(tag)) for tag in ("header", "main", "h1", "title")] == [1, 1, 1, 1]
        assert {"class": "skip", "href": "#content"} in page.all("a")
        assert all("aria-label" in each for each in page.all("nav"))
        levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_parts_of_a_page_are_told_apart_by_their_names(pages: Crawled) -> None:
    for page in pages.values():
        parts = page.all("section", "nav", "form")
        names = [each.get("aria-labelledby") or each.get("aria-label") or each["role"] for each in parts]
        assert len(set(names)) == len(names)


def test_what_unfolds_holds_nothing_else_to_press(pages: Crawled) -> None:
    for page in pages.values():
        assert not [data for inside, data in page.texts if "summary" in inside and {"a", "button"} & set(inside)]
        assert page.within("summary") or not page.all("summary")


def test_tables_fields_and_pictures_are_named(pages: Crawled) -> None:
    for page in pages.values():
        assert len(page.all("caption")) == len(page.all("table"))
        assert all("scope" in each for each in page.all("th"))
        fields = {each["id"] for each in page.all("input", "select")}
        assert fields == {each["for"] for each in page.all("label")}
        assert all(each["alt"] for each in page.all("img"))


def test_what_refers_to_an_element_finds_it(pages: Crawled) -> None:
    for page in pages.values():
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(set(ids)) == len(ids)
        named = {attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes}
        assert named <= set(ids)


def test_what_can_scroll_can_be_reached_by_the_keyboard(pages: Crawled) -> None:
    for page in pages.values():
        for each in page.all("div"):
            if each.get("class") == "scroll":
                assert each["tabindex"] == "0"
                assert each["role"] == "group"
                assert each.keys() & {"aria-label", "aria-labelledby"}
