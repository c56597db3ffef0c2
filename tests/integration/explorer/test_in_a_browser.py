"""The pages in a real browser: nothing that an LM wrote is run, and the keyboard alone leads everywhere."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright

from tests.integration.explorer.browsing import Site
from tests.integration.explorer.conftest import MARKUP, Shown

INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NONE = "no Chromium is installed; what the pages hold was looked at over HTTP"
MOST_STEPS = 80  # from one thing that the keyboard reaches to another


def chromium(playwright: Playwright) -> str:
    """Where the machine has one; a test that finds none is left out."""
    places = [*map(shutil.which, INSTALLED), playwright.chromium.executable_path]
    found = [place for place in places if place and Path(place).exists()]
    return found[0] if found else pytest.skip(NONE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a screen."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(playwright))
        yield running
        running.close()


@pytest.fixture
def window(browser: Browser, site: Site) -> Iterator[Page]:
    """A window whose addresses begin at the site."""
    page = browser.new_page(base_url=f"http://{site.at}")
    page.set_default_timeout(10_000)
    yield page
    page.close()


def listen_to(window: Page, site: Site) -> list[str]:
    """What the browser will have to say, and whom it will ask but the site."""
    said: list[str] = []
    window.on("console", lambda message: said.append(message.text))
    window.on("pageerror", lambda error: said.append(str(error)))
    window.on("dialog", lambda dialog: said.append(dialog.message))
    asked = re.compile(rf"http://{re.escape(str(site.at))}/")
    window.on("request", lambda request: said.append(request.url) if not asked.match(request.url) else None)
    return said


def go_to(window: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(MOST_STEPS):
        window.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"the keyboard does not reach {wanted}")


@pytest.mark.parametrize("width", [360, 1200])
def test_pages_are_shown_whole_and_nothing_is_asked_of_others(
    window: Page, site: Site, shown: Shown, width: int
) -> None:
    said = listen_to(window, site)
    window.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/runs/small-1", "/runs/small-1/examples", f"/examples/{shown.odd['markup']}"):
        window.goto(path)
        assert window.evaluate("getComputedStyle(document.querySelector('.site')).display") == "flex"
        assert window.evaluate("document.documentElement.scrollWidth") <= width
    expect(window.get_by_text(MARKUP, exact=True).first).to_be_visible()
    assert said == []


@pytest.mark.parametrize(
    ("markup", "policy"),
    [
        ("<img src='/explorer.svg' onload='document.title = 1'>", "script-src"),
        ("<script>document.title = 1</script>", "script-src"),
        ("<img src='http://127.0.0.2:1/x'>", "img-src"),
        ("<iframe src='/'></iframe>", "frame-src"),
        ("<b style='position: fixed'>", "style-src"),
    ],
)
def test_markup_that_slipped_in_would_do_nothing(window: Page, markup: str, policy: str) -> None:
    window.goto("/")
    insert = "markup => document.body.append(document.createRange().createContextualFragment(markup))"
    with window.expect_console_message(lambda said: "Content Security Policy" in said.text and policy in said.text):
        window.evaluate(insert, markup)
    assert window.title() == "Runs · ensemble-instruct"


def test_the_keyboard_alone_leads_from_the_runs_to_a_seed_task(window: Page, shown: Shown) -> None:
    window.goto("/")
    window.keyboard.press("Tab")
    expect(window.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    window.keyboard.press("Enter")
    window.keyboard.press("Tab")
    expect(window.get_by_role("group", name="Runs")).to_be_focused()
    for link in ("small-1", "Read the examples"):
        go_to(window, window.get_by_role("link", name=link, exact=True))
        window.keyboard.press("Enter")
    go_to(window, window.locator(f"a[href='/examples/{shown.odd['long']}']"))
    window.keyboard.press("Enter")
    instruction = window.get_by_role("listitem").filter(has_text=re.compile(r"^\s*carries out instruction")).first
    for folded in (r"what instruction \w+ came from", r"what generation \w+ came from", r"shown \d+ demonstrations"):
        go_to(window, instruction.locator("summary", has_text=re.compile(folded)).first)
        window.keyboard.press("Enter")
    go_to(window, instruction.get_by_role("link", name=re.compile("^seed task")).first)
    window.keyboard.press("Enter")
    expect(window.get_by_role("heading", level=1)).to_have_text(re.compile(r"Seed task seed_task_\d+"))
