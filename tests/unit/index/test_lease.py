"""One driver at a time, where it can be had: who holds, who waits, who takes over."""

import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, replace

import pytest

from clipbatch import storage
from clipbatch.config import IndexConfig
from clipbatch.errors import BadImage, Incomplete, Reason, Transient
from clipbatch.index.lease import FOLDER, Lease
from clipbatch.index.owner import Owner
from tests.stores import bucket, leases, moto_port

__all__ = ["bucket", "moto_port"]

pytestmark = pytest.mark.quick


@pytest.fixture(params=["local", "s3"])
def config(request, tmp_path):
    if request.param == "local":
        return IndexConfig(database=str(tmp_path))
    return IndexConfig(database=request.getfixturevalue("bucket").address + "/db")


def forge(config, owner, number=1):
    """Put a lease there that somebody else took just now."""
    record = {"owner": asdict(owner), "lease_s": config.lease_s, "token": "theirs"}
    address = storage.join(config.database, FOLDER, f"{number:08}.json")
    assert storage.create(address, json.dumps(record).encode())


ELSEWHERE = Owner("another-host", "another-boot", 7, "1")


def test_a_second_driver_is_sent_away_and_told_by_whom_and_until_when(config):
    with Lease(config) as first, Lease(config) as second:
        first.take()
        first.take()
        with pytest.raises(Incomplete, match=rf"process {os.getpid()} on .* until .* UTC.*nothing"):
            second.take()
    assert leases(config.database) == []


def test_what_was_given_back_can_be_taken(config):
    for number in (1, 2):
        with Lease(config) as lease:
            lease.take()
            assert leases(config.database) == [f"{number:08}.json"]
    assert leases(config.database) == []
    root = storage.join(config.database, FOLDER)
    assert [found.uri for found in storage.walk(root)] == ["00000002.json"]  # the last one only


def test_a_lease_of_another_host_holds_until_it_runs_out(config):
    short = replace(config, lease_s=2.0)
    forge(short, ELSEWHERE)
    with Lease(short) as lease, pytest.raises(Incomplete, match="another-host"):
        lease.take()
    with Lease(replace(short, lease_wait_s=30.0)) as lease:
        started = time.monotonic()
        lease.take()
        assert time.monotonic() - started < 20
        assert "00000002.json" in leases(config.database)
    assert leases(config.database) == []


def test_a_lease_of_a_killed_process_here_is_taken_over_at_once(config):
    script = (
        "import os, signal, sys\n"
        "from clipbatch.config import IndexConfig\n"
        "from clipbatch.index.lease import Lease\n"
        "Lease(IndexConfig(database=sys.argv[1])).take()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, config.database], check=False)
    assert done.returncode == -9
    assert leases(config.database) == ["00000001.json"]
    with Lease(config) as lease:
        lease.take()
    assert leases(config.database) == []


def test_a_process_id_that_came_back_is_not_its_owner(config):
    assert not Owner.me().is_dead()
    assert replace(Owner.me(), born="1").is_dead()
    assert not replace(ELSEWHERE, pid=os.getpid()).is_dead()
    forge(config, replace(Owner.me(), born="1"))
    with Lease(config) as lease:
        lease.take()


def test_of_many_at_once_one_gets_it(config):
    forge(config, replace(Owner.me(), born="1"))  # all of them find a dead one
    barrier, held, told = threading.Barrier(6), [], []

    def driver(stack):
        lease = stack.enter_context(Lease(config))
        barrier.wait()
        try:
            lease.take()
            held.append(lease)
        except Incomplete as error:
            told.append(str(error))

    with ExitStack() as stack:
        threads = [threading.Thread(target=driver, args=(stack,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(held), len(told)) == (1, 5)


@pytest.mark.parametrize("theirs", [ELSEWHERE, replace(Owner.me(), born="1")])
def test_a_listing_that_shows_neither_the_old_nor_the_new_one_gives_no_second_lease(
    config, monkeypatch, theirs
):
    """Another took number 7 and removed the void 6, while this driver listed the folder."""
    forge(config, theirs, number=7)
    whole, listings = Lease._numbers, iter([[]])

    def listed(lease):
        found = next(listings, None)
        return whole(lease) if found is None else found

    with monkeypatch.context() as patch, ExitStack() as stack:
        patch.setattr(Lease, "_numbers", listed)
        lease = stack.enter_context(Lease(config))
        if theirs is ELSEWHERE:
            stack.enter_context(pytest.raises(Incomplete, match="another-host"))
        lease.take()
        assert leases(config.database) == ["00000008.json"]
    assert leases(config.database) == (["00000007.json"] if theirs is ELSEWHERE else [])


def test_who_was_too_late_and_then_finds_it_given_back_takes_the_next(config, monkeypatch):
    create = storage.create

    def slow(address, data, *_):
        if address.endswith("00000001.json"):
            with Lease(config) as quicker, monkeypatch.context() as patch:
                patch.setattr(storage, "create", create)
                quicker.take()
        return create(address, data)

    monkeypatch.setattr(storage, "create", slow)
    with Lease(config) as lease:
        lease.take()
        assert leases(config.database) == ["00000002.json"]
    assert leases(config.database) == []


def test_who_slept_while_others_came_and_went_takes_no_number_that_is_used_up(config, monkeypatch):
    create = storage.create
    with ExitStack() as stack:
        later = Lease(config)

        def slow(address, data, *_):
            monkeypatch.setattr(storage, "create", create)
            for _ in range(2):
                with Lease(config) as quicker:
                    quicker.take()
            stack.enter_context(later).take()
            return create(address, data)

        with Lease(config) as first:
            first.take()
        monkeypatch.setattr(storage, "create", slow)
        with Lease(config) as lease, pytest.raises(Incomplete):
            lease.take()
        assert later.number == 4
        assert leases(config.database) == ["00000004.json"]


def test_a_store_that_fails_before_it_is_held_leaves_nobody_waiting(config, monkeypatch):
    whole, calls = Lease._numbers, []

    def failing(lease):
        calls.append(lease)
        if len(calls) == 2:
            raise Transient("503")
        return whole(lease)

    monkeypatch.setattr(Lease, "_numbers", failing)
    with Lease(config) as lease, pytest.raises(Transient):
        lease.take()
    assert len(calls) == 2
    assert leases(config.database) == []


def test_it_is_renewed_while_its_owner_lives_and_a_theft_is_told(config, capsys):
    short = replace(config, lease_s=3.0)
    with Lease(short) as lease:
        lease.take()
        time.sleep(4.5)
        with Lease(short) as second, pytest.raises(Incomplete):
            second.take()
        forge(short, ELSEWHERE, number=2)
        deadline = time.monotonic() + 10
        while "taken it over" not in capsys.readouterr().err:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert leases(config.database) == ["00000002.json"]  # theirs is left to them


@pytest.mark.parametrize("call", ["modified", "read"])
@pytest.mark.parametrize("reason", [Reason.TIMED_OUT, Reason.UNREADABLE])
def test_a_lease_that_cannot_be_read_is_not_void(config, monkeypatch, call, reason):
    forge(config, replace(Owner.me(), born="1"))  # it is void, but who can tell?

    def refuse(root, uri, *_):
        raise BadImage(reason, "the store answered 503")

    with monkeypatch.context() as patch:
        patch.setattr(storage, call, refuse)
        patch.setattr(storage, "clock", lambda _: dt.datetime.now(dt.UTC))
        with Lease(config) as lease, pytest.raises(Transient, match=r"503.*nothing was done"):
            lease.take()
    assert leases(config.database) == ["00000001.json"]


def test_who_slept_through_it_all_leaves_the_lease_of_another_alone(config, capsys):
    short = replace(config, lease_s=3.0)
    with Lease(short) as sleeper:
        sleeper.take()
        # Meanwhile its lease ran out, and somebody emptied the folder by hand and began again.
        storage.delete(storage.join(config.database, FOLDER, "00000001.json"))
        forge(short, ELSEWHERE)
        deadline = time.monotonic() + 10
        while "taken it over" not in capsys.readouterr().err:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert leases(config.database) == ["00000001.json"]
    assert b"another-host" in storage.read(config.database, f"{FOLDER}/00000001.json")


def test_half_a_record_holds_for_a_while_and_zero_seconds_is_no_lease(config):
    storage.create(storage.join(config.database, FOLDER, "00000001.json"), b'{"own')
    with Lease(config) as lease, pytest.raises(Incomplete, match="unknown host"):
        lease.take()
    with Lease(replace(config, lease_s=0)) as lease:
        lease.take()
    assert leases(config.database) == ["00000001.json"]
