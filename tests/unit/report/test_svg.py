"""Laws of inlined SVG: nothing left that reaches the page, ids of its own, the page's colours."""

import io
import re
import xml.etree.ElementTree as ET

import pytest

from clipbatch.report import paper, svg

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def text():
    """What Matplotlib writes for a drawing with markers, clips, an image and our colours."""
    with paper.styled() as canvas:
        axes = canvas.subplots()
        axes.imshow([[1, 2], [3, 4]], interpolation="none")
        axes.scatter([0, 1], [0, 1], color=svg.SERIES[1], label="<b>&'\"")
        axes.set_title("patch_1 url(#x) " + svg.INK)
        canvas.legend()
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg")
    return buffer.getvalue()


def test_only_drawing_is_left(text):
    root = ET.fromstring(svg.inline(text, "a-", "title"))
    assert {element.tag for element in root.iter()} <= {
        "svg", "g", "path", "defs", "use", "text", "image", "clipPath", "rect",
    }  # fmt: skip
    assert root.get("aria-label") == "title"
    assert not any("{" in name for element in root.iter() for name in element.attrib)


def test_every_id_is_used_and_every_use_has_its_id(text):
    found = svg.inline(text, "a-", "t")
    ids = re.findall(r'\bid="([^"]*)"', found)
    used = set(re.findall(r'href="#([^"]*)"', found)) | set(re.findall(r"url\(#(a-[^)]*)\)", found))
    assert ids
    assert len(ids) == len(set(ids))
    assert set(ids) == used
    assert all(name.startswith("a-") for name in ids)


def test_pictures_are_inside(text):
    (image,) = ET.fromstring(svg.inline(text, "a-", "t")).iter("image")
    assert re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", image.get("href"))


def test_colours_follow_the_page_and_text_stays_as_it_was(text):
    root = ET.fromstring(svg.inline(text, "a-", "t"))
    styles = " ".join(element.get("style", "") for element in root.iter())
    assert "var(--series-2)" in styles
    assert "currentColor" in styles
    assert svg.INK not in styles
    assert svg.SERIES[1] not in styles
    assert {"<b>&'\"", f"patch_1 url(#x) {svg.INK}"} <= {e.text for e in root.iter("text")}


def test_it_is_much_smaller(text):
    assert len(svg.inline(text, "a-", "t")) < 0.6 * len(text)
