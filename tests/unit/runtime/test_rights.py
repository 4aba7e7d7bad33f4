"""Rights that are lost in mid-run: what was begun is incomplete, and a refusal before work is 2."""

import pytest

from clipbatch import cli
from clipbatch.index import changes, failures
from tests.pictures import encode, picture
from tests.stores import LossyProxy, bucket, moto_port, settings

__all__ = ["bucket", "moto_port"]

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(("late", "code", "told"), [(True, 3, "go on"), (False, 2, "credentials")])
def test_a_token_that_expires_ends_a_run_with_what_it_means(
    bucket, moto_port, monkeypatch, tmp_path, capsys, late, code, told
):
    monkeypatch.setattr(failures.time, "sleep", lambda _: None)
    (tmp_path / "one.png").write_bytes(encode(picture(1)))
    merge = changes.merge
    with LossyProxy(moto_port, lambda *_: False) as proxy:
        for name, value in settings(proxy.port).items():
            monkeypatch.setenv(name, value)

        def expired(*arguments):
            proxy.forbids = True
            merge(*arguments)

        if late:
            monkeypatch.setattr(changes, "merge", expired)
        proxy.forbids = not late
        assert cli.main(["collect", str(tmp_path), "--db", f"{bucket.address}/db"]) == code
    said = capsys.readouterr().err
    assert "403" in said
    assert told in said
