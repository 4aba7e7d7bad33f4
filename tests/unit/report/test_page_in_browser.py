"""The page in a real browser: no request, no script, no complaint; on a phone and in the dark."""

import shutil

import pytest

from clipbatch.report import page
from tests.unit.report import examples

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no chromium on this machine (Debian: apt-get install chromium)"
)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"), executable_path=CHROMIUM, args=ARGUMENTS
        )
        context.set_default_timeout(120_000)  # a busy machine is slow, not wrong
        yield context
        context.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    thumbnails = examples.thumbnails(60)
    hostile = examples.HOSTILE[:14]
    reports = {
        "calm": examples.report(),
        "hostile": examples.report(
            names=hostile,
            source=hostile[0],
            database=hostile[1],
            failed={text: f"failed: {text}" for text in hostile},
        ),
    }
    for name, report in reports.items():
        (folder / f"{name}.html").write_bytes(page.render(report, thumbnails))
    return {name: f"file://{folder / name}.html" for name in reports}


@pytest.fixture
def opened(browser):
    """Open a page at a width and in a theme; afterwards nothing may have been said or asked."""
    troubles, opened = [], []

    def open_page(url, width=1280, scheme="light"):
        tab = browser.new_page()
        opened.append(tab)
        tab.on("console", lambda message: troubles.append(message.text))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.on("dialog", lambda dialog: troubles.append(dialog.message))
        tab.on(
            "request",
            lambda request: (
                request.url in (url,)
                or request.url.startswith("data:")
                or troubles.append(request.url)
            ),
        )
        tab.emulate_media(color_scheme=scheme)
        tab.set_viewport_size({"width": width, "height": 900})
        tab.goto(url)
        tab.wait_for_timeout(200)
        return tab

    yield open_page
    for tab in opened:
        tab.close()
    assert troubles == []


@pytest.mark.parametrize("name", ["calm", "hostile"])
def test_it_opens_without_scripts_requests_or_complaints(opened, files, name):
    tab = opened(files[name])
    assert tab.title().startswith("Audit ")
    assert tab.evaluate("document.scripts.length") == 0
    attributes = "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
    assert not [a for a in tab.evaluate(attributes) if a.startswith("on")]
    pictures = tab.evaluate("[...document.images].map(i => [i.src.slice(0, 16), i.naturalWidth])")
    assert len(pictures) > 20
    assert all(source == "data:image/jpeg;" and width > 0 for source, width in pictures)


def test_hostile_labels_change_no_element(opened, files):
    structure = "[...document.querySelectorAll('#clusters *')].map(e => e.tagName)"
    calm, hostile = (
        [tag for tag in opened(files[name]).evaluate(structure) if tag.lower() != "wbr"]
        for name in ("calm", "hostile")
    )
    assert hostile == calm


@pytest.mark.parametrize("name", ["calm", "hostile"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_the_width(opened, files, name, width):
    tab = opened(files[name], width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_figures_and_text_follow_the_theme(opened, files):
    colour = "e => getComputedStyle(e).{}"
    seen = {}
    for scheme in ("light", "dark"):
        tab = opened(files["calm"], scheme=scheme)
        text = tab.locator("#clusters svg text").first
        seen[scheme] = (
            tab.locator("body").evaluate(colour.format("backgroundColor")),
            text.evaluate(colour.format("fill")),
            tab.locator("#duplicates svg path[style*='series-1']").first.evaluate(
                colour.format("fill")
            ),
        )
        assert text.evaluate(colour.format("fill")) == tab.locator("body").evaluate(
            colour.format("color")
        )
    assert all(light != dark for light, dark in zip(*seen.values(), strict=True))


def test_every_link_in_the_contents_leads_somewhere(opened, files):
    tab = opened(files["calm"])
    missing = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.hash))"
    assert tab.evaluate(f"{missing}.length") == 0
