"""Laws of report.html: one file, nothing from outside, everything said, hostile text harmless."""

import html.parser
import itertools
import re
import time
from importlib import resources

import pytest

from clipbatch.config import Check
from clipbatch.measure.base import Evidence, Figure, Finding, Number, Table
from clipbatch.report import gate, numbers, page, svg
from clipbatch.report.model import RunRecord
from clipbatch.report.versus import Earlier
from clipbatch.text import visible
from tests.unit.report import examples

pytestmark = pytest.mark.quick

VOID = {"meta", "link", "img", "wbr", "br"}


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that elements nest."""

    def __init__(self, data):
        super().__init__()
        self.tags, self.attributes, self.open, self.words = [], [], [], []
        self.feed(data.decode("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def thumbnails():
    return examples.thumbnails(60)


@pytest.fixture(scope="module")
def example(thumbnails):
    return page.render(examples.report(failed={"topics": "skipped: no captions"}), thumbnails)


def test_everything_is_said(example):
    text = Reader(example).text
    report = examples.report()
    for check in report.checks:
        assert check.number in text
        assert check.name.replace("_", " ") in text
    for finding in report.findings.values():
        said = [finding.headline, finding.meaning, *finding.notes]
        said += [table.title for table in finding.tables]
        said += [figure.title for figure in finding.figures]
        said += [number.name for number in finding.numbers]
        said += [number.note for number in finding.numbers]
        assert [one for one in said if one not in text] == []
    checks, skipped = len(report.checks), report.count("skipped")
    for told in ((f"Of {checks} checks, 1 failed, 1 could not be evaluated, 2 warned, "
                 f"1 missed as accepted, {skipped} skipped. 1 of these is as before."),
                 "no captions",
                 "spread of 5 repeats (not a confidence interval)", "2,054", "import lancedb",
                 "20261120T020301Z-91bc", "3 more groups are not shown"):  # fmt: skip
        assert told in text


def test_the_order_is_verdict_checks_changes_findings_run(example):
    ids = re.findall(r'<section id="([^"]*)"', example.decode())
    findings = ["duplicates", "clusters", "angles", "homology", "topics"]
    assert ids == ["new", "checks", "changes", *findings, "history", "run"]
    links = re.findall(r'<a href="#([^"]*)"', example.decode())
    assert [link for link in links if not link.startswith("new-")][-len(ids) :] == ids


def test_nothing_comes_from_outside(example):
    reader = Reader(example)
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(reader.tags)
    for name, value in reader.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "action", "srcset"):
            assert value.startswith(("#", "data:image/", "data:,")), value
    policy = dict(reader.attributes)["content"]
    assert "http-equiv" in dict(reader.attributes), policy
    assert re.search(r"default-src 'none'", example.decode())
    assert not re.search(r"url\((?!#)|@import", example.decode())


def test_it_is_small_and_quick(example, thumbnails):
    report = examples.report()
    started = time.process_time()
    data = page.render(report, thumbnails)
    assert time.process_time() - started < 5
    assert max(len(data), len(example)) < 3_000_000


def test_ids_are_unique(example):
    ids = [value for name, value in Reader(example).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_tables_have_header_cells_and_pictures_have_words(example):
    text = example.decode()
    assert text.count("<table") == text.count("<thead")
    assert len(re.findall(r"<th(?![^>]*scope=)[ >]", text)) == 0
    images = re.findall(r"<img[^>]*>", text)
    assert images
    assert all(re.search(r'alt="[^"]+"', image) for image in images)
    drawings = re.findall(r"<svg[^>]*>", text)
    assert len([svg for svg in drawings if "spark" not in svg]) == 9
    assert all('role="img"' in d and re.search(r'aria-label="[^"]+"', d) for d in drawings)


def everywhere(text):
    """A report that holds one text in every place that a text can reach."""
    name = text.replace(".", "")  # a dot ends the name of an analysis
    finding = Finding(
        headline=text,
        meaning=text,
        numbers=(Number(text, 1.0, text, 0.5, 2.0, text, text), Number("none", None, note=text)),
        tables=(Table(text, {text: [text, text]}),),
        figures=(Figure("bars", text, {"names": [text], "values": [1]}, text, text),
                 Figure(text, text, {text: text})),
        evidence=(Evidence(text, (text, examples.content_id(0)), (text, text)),),
        notes=(text,),
    )  # fmt: skip
    run = RunRecord(
        text, source=text, encoder=text, database=text, config={text: text},
        versions={text: text}, tables={text: 1},
    )  # fmt: skip
    counts = {text: text, "rejects": {text: 1}, "seconds": {text: 1.0}, "rates": {text: 1.0}}
    facts = numbers.Facts({name: finding}, counts, {f"{name} ": text})
    checks = {text: Check(f"{name}.{text}", "<=", 0), "other": Check(text, "<=", 0)}
    return gate.judge(run, facts, checks, Earlier(text))


@pytest.fixture(scope="module")
def harmless(thumbnails):
    return [tag for tag in Reader(page.render(everywhere("calm"), thumbnails)).tags if tag != "wbr"]


@pytest.mark.parametrize("text", examples.HOSTILE, ids=range(len(examples.HOSTILE)))
def test_hostile_text_is_only_text(text, thumbnails, harmless):
    data = page.render(everywhere(text), thumbnails)
    reader = Reader(data)
    if text:  # the markup is that of a harmless label, but for places where a line may break
        assert [tag for tag in reader.tags if tag != "wbr"] == harmless
    assert not {"script", "iframe"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", data.decode())
    if text:
        assert visible(text)[:10].strip() in reader.text


def test_a_long_text_is_cut_and_kept_in_full_as_a_tooltip(thumbnails):
    long = "y" * 300
    text = page.render(everywhere(long), thumbnails).decode()
    assert f'title="{long}"' in text
    cells = re.findall(r"<td><bdi[^>]*>([^<]*)</bdi></td>", text)
    assert cells
    assert max(map(len, cells)) <= page.CELL


def test_a_figure_that_cannot_be_drawn_is_told_and_the_rest_shown():
    finding = Finding("the headline", (), figures=(Figure("pie", "p", {}),))
    text = Reader(page.render(gate.judge(RunRecord("r"), numbers.Facts({"a": finding}), {}))).text
    assert "This figure could not be drawn" in text
    assert "the headline" in text


def test_a_page_full_of_pictures_stays_small_and_says_what_is_left_out():
    big = b"\xff\xd8" + bytes(100_000)
    ids = tuple(map(examples.content_id, range(30)))
    finding = Finding("h", (), evidence=(Evidence("g", ids),))
    report = gate.judge(RunRecord("r"), numbers.Facts({"a": finding}), {})
    data = page.render(report, dict.fromkeys(ids, big))
    assert len(data) < 3_000_000
    shown = data.count(b"<img")
    assert 0 < shown < 30
    assert f"{30 - shown} thumbnails were left out" in Reader(data).text


def test_what_is_no_jpeg_is_not_shown():
    ids = tuple(map(examples.content_id, range(2)))
    finding = Finding("h", (), evidence=(Evidence("g", ids),))
    report = gate.judge(RunRecord("r"), numbers.Facts({"a": finding}), {})
    data = page.render(report, {ids[0]: b"<svg onload=alert(1)>"})
    assert b"<img" not in data
    assert Reader(data).text.count("no thumbnail") == 2


def test_long_tables_are_folded_and_cut_with_a_count():
    finding = Finding("h", (), tables=(Table("t", {"n": list(range(500))}),))
    data = page.render(gate.judge(RunRecord("r"), numbers.Facts({"a": finding}), {}))
    assert "300 more rows" in Reader(data).text
    assert b"<details><summary>" in data


def test_an_empty_report_is_still_a_page():
    text = Reader(page.render(gate.judge(RunRecord("r"), numbers.Facts(), {}))).text
    assert "Passed" in text
    assert "No checks were asked for" in text


def test_a_quiet_night_says_so(example):
    counts = examples.counts() | dict.fromkeys(
        ("new", "changed", "renamed", "relabelled", "gone", "opened", "decoded", "embedded_rows"), 0
    )
    report = gate.judge(RunRecord("r"), numbers.Facts(counts=counts), {})
    assert "Nothing changed since the last run" in Reader(page.render(report)).text
    assert "Nothing changed" not in Reader(example).text


def test_an_incomplete_run_says_how_to_go_on():
    report = gate.judge(RunRecord("r"), numbers.Facts(failed={"topics": "failed: memory"}), {})
    text = Reader(page.render(report)).text
    assert "Incomplete" in text
    assert "run the same command again" in text


# Colours: the page must be readable by everyone, in both themes.

VISIONS = {  # Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                   (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                     (-0.011820, 0.042940, 0.968881)),
}  # fmt: skip
WHITE = (0.95047, 1.0, 1.08883)
XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


def themes():
    file = resources.files("clipbatch.report") / "templates" / "page.css"
    light, _, rest = file.read_text(encoding="utf-8").partition("@media")
    found = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", css)) for css in (light, rest.split("* {")[0])
    ]
    return {"light": found[0], "dark": found[0] | found[1]}


def linear(colour):
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def contrast(one, other):
    """Contrast ratio of WCAG 2.2, from 1 to 21."""
    low, high = sorted(times(XYZ, linear(c))[1] for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(colour, vision):
    rgb = [min(1, max(0, part)) for part in times(VISIONS[vision], linear(colour))]
    f = [
        (v / w) ** (1 / 3) if v / w > 0.008856 else 7.787 * v / w + 16 / 116
        for v, w in zip(times(XYZ, rgb), WHITE, strict=True)
    ]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def series(colours):
    return [colours[f"series-{n}"] for n in range(1, len(svg.SERIES) + 1)]


def test_the_light_series_are_those_that_figures_are_drawn_in():
    assert series(themes()["light"]) == list(svg.SERIES)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_stand_out(theme):
    colours = themes()[theme]
    for back in ("paper", "card", "code"):
        assert contrast(colours["ink"], colours[back]) > 7
        assert contrast(colours["soft"], colours[back]) > 4.5
    for status in ("pass", "warn", "fail", "error", "skipped"):
        assert contrast(colours[status], colours[f"{status}-back"]) > 4.5
    for colour in series(colours):
        assert contrast(colour, colours["card"]) > 3


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_series_are_told_apart_by_every_eye(theme, vision):
    for one, other in itertools.combinations(series(themes()[theme]), 2):
        parts = zip(lab(one, vision), lab(other, vision), strict=True)
        assert sum((a - b) ** 2 for a, b in parts) ** 0.5 > 20, (one, other)
