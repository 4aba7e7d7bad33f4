"""Names, labels and captions that attack whoever prints them, and secrets that must stay secret."""

import csv
import io
import json
import os
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipbatch import cli
from tests import pictures, serial
from tests.stores import bucket, moto_port

__all__ = ["bucket", "moto_port"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

NAMES = (
    "<script>alert(1)<⁄script>",
    "=HYPERLINK(1)",
    "+1",
    "-1+1",
    "@SUM(1)",
    "line\nbreak\rreturn",
    "esc\x1b]0;owned\x07\x1b[31m",
    "c1\x9b31m",
    "right\u202eto\u2066left",
    "x" * 200,
    "'; drop table catalog; --",
    '"><img src=x onerror=alert(1)>',
    "%00%2e%2e%2f",
    "{{ 7 * 7 }}",
)
LONG = "=" + "y" * 300  # no file system takes it as a name
CLIMBING = ("../../climbed.png", "/tmp/clipbatch-climbed.png", "a/../../../climbed.png")
SETTINGS = ("embed.encoder=pixels", "embed.batch_size=8", "embed.levels=[]")


def images(count):
    """Return pictures, each twice: the evidence of duplicates then names them all."""
    made = [pictures.encode(pictures.picture(n)) for n in range(-(-count // 2))]
    return [*made, *made][:count]


def folder(root):
    for name, data in zip(NAMES, images(len(NAMES)), strict=True):
        (root / "in" / name).mkdir(parents=True)
        (root / "in" / name / f"{name}.png").write_bytes(data)
        (root / "in" / name / f"{name}.bad.png").write_bytes(b"no picture")
    undecodable = os.fsencode(root) + b"/in/latin-\xe9\xff"
    os.mkdir(undecodable)  # noqa: PTH102 - pathlib cannot hold bytes
    with open(undecodable + b"/\xff\xfe.png", "wb") as file:  # noqa: PTH123
        file.write(images(2)[0])
    return root / "in"


def tar(root):
    names = [*CLIMBING, *(f"{name}.png" for name in NAMES), *(f"{n}.bad.png" for n in NAMES)]
    good = images(len(names) - len(NAMES))
    members = dict(zip(names, [*good, *[b"no picture"] * len(NAMES)], strict=True))
    return pictures.write_tar(root / "in" / "shard.tar", members)


def parquet(root):
    names = [*NAMES, "nul\x00byte", LONG, *NAMES]
    data = [*images(len(NAMES) + 2), *[b"no picture"] * len(NAMES)]
    columns = {"image": pa.array(data, pa.binary()), "label": names, "split": names}
    (root / "in").mkdir()
    pq.write_table(pa.table(columns | {"caption": names}), root / "in" / "p.parquet")
    return root / "in" / "p.parquet"


def manifest(root):
    rows = []
    for n, (name, data) in enumerate(zip(NAMES, images(len(NAMES)), strict=True)):
        (root / "in").mkdir(exist_ok=True)
        (root / "in" / f"{n}.png").write_bytes(data)
        rows += [{"uri": f"{n}.png", "label": name, "split": name, "caption": name}]
        rows += [{"uri": f"{name}.png", "label": name, "split": name, "caption": name}]
    others = (*CLIMBING, "nul\x00byte.png", "half\udcffcharacter.png")
    rows += [{"uri": uri, "label": LONG, "split": LONG, "caption": LONG} for uri in others]
    return pictures.write_manifest(root / "in" / "m.csv", rows)


def ask(*arguments):
    """Run one command in this process, on the Ray of the tests."""
    return cli.main([part for part in arguments if part])


def harmless(text):
    for line in text.split("\n"):
        told = {c for c in line if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
        assert not told - {"\r"}, repr(line[:300])
        assert not set(line) & set("\u202e\u2066")


def plain_cells(text):
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            try:
                float(cell)
            except ValueError:
                assert cell.lstrip()[:1] not in tuple("=+-@"), cell


@pytest.mark.parametrize("make", [folder, tar, parquet, manifest])
def test_hostile_names_are_harmless_wherever_they_are_shown(
    make, tmp_path, monkeypatch, capfd, request
):
    if make is folder:  # text passes through Ray as it comes, whatever it comes from
        request.getfixturevalue("local_ray")
    else:
        serial.without_ray(monkeypatch.setattr)
    source = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = {p for p in tmp_path.parent.rglob("*") if not p.is_relative_to(tmp_path)}
    places = ["--db", str(tmp_path / "db")]
    options = [part for text in SETTINGS for part in ("--set", text)]
    options += ["--set", "measure.analyses=['duplicates', 'clusters']"]
    code = ask("audit", str(source), *places, "--out", "report", *options)
    audited = capfd.readouterr()
    assert code in (0, 1), audited.err
    harmless(audited.err)
    printed = {}
    for question in (["rejects"], ["runs"], ["show", "duplicates"]):
        assert ask(*question, *places) == 0
        printed[question[0]] = capfd.readouterr().out
        harmless(printed[question[0]])
        plain_cells("\n".join(x for x in printed[question[0]].split("\n") if x[:2] != "# "))
    assert len(printed["rejects"].splitlines()) > len(NAMES)
    html = (tmp_path / "report/report.html").read_text("utf-8")
    assert "img src" in printed["show"] + html  # else nothing hostile was shown at all
    assert "<script" not in html.lower()
    assert "<img src=x" not in html
    harmless(html)
    ET.parse(tmp_path / "report/junit.xml")
    harmless((tmp_path / "report/junit.xml").read_text("utf-8"))
    told = (tmp_path / "report/audit.json").read_text("utf-8")
    harmless(told)
    json.loads(told, parse_constant=pytest.fail)
    after = {p for p in tmp_path.parent.rglob("*") if not p.is_relative_to(tmp_path)}
    assert after == before
    assert {p.name for p in tmp_path.iterdir()} == {"in", "db", "report"}
    assert not os.path.exists(CLIMBING[1])  # noqa: PTH110


KEY, SECRET = "AKIAPLANTEDPLANTED42", "wJalrPLANTED/K7MDENG+bPxRfiCYEXAMPLE"
SIGNATURE, PASSWORD = "5ec7e75165ec7e7516", "hunter2PLANTED"
ADDRESSES = (
    f"s3://{KEY}:{SECRET}@bucket/photos",
    f"https://user:{PASSWORD}@host/photos",
    f"https://host/a.tar?X-Amz-Signature={SIGNATURE}",
    f"s3://bucket/a.tar?X-Amz-Credential={KEY}&X-Amz-Signature={SIGNATURE}",
)


def leaks(data):
    if isinstance(data, str):
        data = data.encode()
    return [word for word in (KEY, SECRET, SIGNATURE, PASSWORD) if word.encode() in data]


def run(tmp_path, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "clipbatch.cli", *arguments],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        timeout=300,
        env=os.environ | {"RAY_ADDRESS": "local"} | environment,
    )
    assert not leaks(done.stdout + done.stderr), done.stderr.decode()[-2000:]
    return done


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("key", ["collect.source", "index.database", "report.folder"])
def test_an_address_with_a_secret_is_refused_without_repeating_it(address, key, tmp_path, capfd):
    source = pictures.write_folder(tmp_path / "in", {"a/b.png": images(2)[0]})
    given = ["collect.source=" + str(source), f"index.database={tmp_path / 'db'}"]
    settings = [*given, *SETTINGS, f"{key}={address}"]
    code = ask("audit", *(part for text in settings for part in ("--set", text)))
    told = capfd.readouterr()
    assert code == 2, told.err
    assert not leaks(told.err + told.out)


def test_a_manifest_of_signed_addresses_is_refused_without_repeating_them(tmp_path, capfd):
    for n, address in enumerate(ADDRESSES):
        path = pictures.write_manifest(tmp_path / f"{n}.csv", [{"uri": address}])
        database = tmp_path / "db"
        code = ask("audit", str(path), "--db", str(database), "--set", "embed.encoder=pixels")
        told = capfd.readouterr()
        assert code == 2, told.err
        assert not leaks(told.err + told.out)
        assert not database.exists() or not any(
            leaks(p.read_bytes()) for p in database.rglob("*") if p.is_file()
        )


def test_no_byte_that_an_audit_writes_holds_a_secret(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("HF_TOKEN", PASSWORD)
    for n, data in enumerate(images(6)):
        bucket.put(f"in/{'ab'[n % 2]}/{n}.png", data)
    bucket.put("in/a/bad.png", b"no picture")
    source, database, report = (f"{bucket.address}/{part}" for part in ("in", "db", "report"))
    options = [part for text in SETTINGS for part in ("--set", text)]
    options += ["--set", "measure.analyses=['duplicates']"]
    done = run(tmp_path, "audit", source, "--db", database, "--out", report, *options)
    assert done.returncode in (0, 1), done.stderr
    run(tmp_path, "doctor", source, "--db", database, "--out", report, "--json", *options)
    for question in (["rejects"], ["runs"], ["show", "duplicates"]):
        assert run(tmp_path, *question, "--db", database).returncode == 0
    # Errors of the store, with and without a traceback: a wrong bucket, and nobody at home.
    assert run(tmp_path, "audit", "s3://no-such-bucket/in", *options).returncode == 2
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "CLIPBATCH_TRACEBACK": "1"}
    settings = [*options, "--set", "collect.timeout_s=1"]
    assert run(tmp_path, "audit", source, "--db", database, *settings, **nobody).returncode in (
        2,
        3,
    )
    for key in bucket.keys():  # noqa: SIM118
        body = bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
        assert not leaks(body), key
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or not leaks(path.read_bytes()), path
