"""Matplotlib's SVG made fit for a page: small, with ids of its own, in the page's colours."""

import re
import xml.etree.ElementTree as ET  # reads only what Matplotlib has just written
from collections.abc import Mapping
from typing import Final

INK: Final = "#101112"  # drawn with this, text and axes take the page's text colour
GRID: Final = "#d0d1d2"
SERIES: Final = (
    "#3f8fcb",
    "#cd7000",
    "#5a1f65",
    "#12958a",
    "#813501",
    "#5342c7",
    "#672030",
)  # of the light theme; apart for colour-blind eyes too, by lightness as much as by hue

_COLOURS: Final[Mapping[str, str]] = {
    INK: "currentColor",
    GRID: "var(--grid)",
    **{colour: f"var(--series-{n})" for n, colour in enumerate(SERIES, 1)},
}
_HEX: Final = re.compile("|".join(_COLOURS))
_FONT: Final = re.compile(r"font-family:[^;]*;?\s*")
_LONG: Final = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE: Final = re.compile(r"url\(#([^)]+)\)")
_NUMERIC: Final = ("d", "x", "y", "transform", "width", "height", "points")
_DROPPED: Final = ("metadata", "style", "title")


def inline(text: str, prefix: str, title: str) -> str:
    """Return an ``<svg>`` element for an HTML page.

    Args:
        text: what Matplotlib wrote.
        prefix: of the ids that are kept; unique in the page.
        title: read aloud in place of the picture.
    """
    root = ET.fromstring(text)  # noqa: S314
    _strip(root)
    used = _references(root)
    for element in root.iter():
        _clean(element, prefix, used)
    _, _, width, height = root.get("viewBox", "0 0 1 1").split()
    root.attrib = {
        "viewBox": f"0 0 {float(width):g} {float(height):g}",
        "width": f"{float(width):.0f}",
        "height": f"{float(height):.0f}",
        "role": "img",
        "aria-label": title,
        "fill": "currentColor",
    }
    return ET.tostring(root, encoding="unicode")


def _strip(parent: ET.Element) -> None:
    """Take away namespaces, metadata, and the style sheet that would reach the whole page."""
    parent.tag = parent.tag.rpartition("}")[2]
    for child in list(parent):
        _strip(child)
        if child.tag in _DROPPED:
            parent.remove(child)
    if parent.tag != "text":
        parent.text = None
    parent.tail = None


def _references(root: ET.Element) -> set[str]:
    used = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.endswith("href") and value.startswith("#"):
                used.add(value[1:])
            used |= set(_REFERENCE.findall(value))
    return used


def _clean(element: ET.Element, prefix: str, used: set[str]) -> None:
    attributes = {}
    for name, value in element.attrib.items():
        key = name.rpartition("}")[2]
        if key == "id":
            if value in used:
                attributes[key] = f"{prefix}{value}"
        elif key == "href":
            compact = "".join(value.split())
            attributes[key] = f"#{prefix}{value[1:]}" if value.startswith("#") else compact
        elif key == "style":
            colours = _HEX.sub(lambda match: _COLOURS[match[0]], value.replace("\n", " "))
            attributes[key] = _FONT.sub("", colours).strip()
        else:
            attributes[key] = _REFERENCE.sub(rf"url(#{prefix}\1)", value)
        if key in _NUMERIC:
            attributes[key] = " ".join(_LONG.sub(_rounded, attributes[key]).split())
    if attributes.get("transform", "").startswith("rotate(-0 "):
        del attributes["transform"]
    element.attrib = attributes


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
