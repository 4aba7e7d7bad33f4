"""A lease that sends a second driver away before it repeats the first one's work.

Nothing rests on it: merges on keys are safe without it. It is an object in the database, made by
the conditional PUT that ``storage.probe`` has proved, kept alive by a thread, and void when it was
not renewed for a while by the store's own clock, or when its owner is known to be dead.
"""

import datetime as dt
import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from clipbatch import storage
from clipbatch.config import IndexConfig
from clipbatch.errors import BadImage, ClipbatchError, Incomplete, Reason, Transient
from clipbatch.index.owner import Owner
from clipbatch.progress import say

T = TypeVar("T")

FOLDER: Final = ".clipbatch-lease"  # hidden: neither a table nor a picture
BEATS: Final = 3  # renewals in the time that a lease lasts
ASK_S: Final = 2.0  # between two looks at somebody else's lease


@dataclass(frozen=True)
class _Held:
    number: int
    owner: Owner
    until: dt.datetime


class Lease:
    """One driver's lease on a database; taken by ``take``, given back at the end.

    Leases are numbered objects, and numbers only grow. The next one is created under
    ``If-None-Match: *``, so one of several that find the last one void gets it. The highest number
    holds; its object stays when it is given back, and the next holder removes it.
    """

    def __init__(self, config: IndexConfig) -> None:
        self.config = config
        self.root = storage.join(config.database, FOLDER)
        self.number = 0
        self.asked = False  # that is: the store was found fit, and work begins
        self._token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
        with suppress(ClipbatchError):  # it runs out by itself
            if self.number and self._is_mine(self.number):
                storage.write_atomic(self._address(self.number), self._record(given_back=True))

    def take(self) -> None:
        """Take the lease, after waiting for it as long as the configuration allows.

        Raises:
            Incomplete: another run holds it.
        """
        self.asked = True
        if not self.config.lease_s or self._thread is not None:
            return
        deadline = time.monotonic() + self.config.lease_wait_s
        waiting = False
        while held := self._try():
            left = deadline - time.monotonic()
            if left <= 0:
                raise Incomplete(self._refusal(held))
            if not waiting:
                say(
                    "lease",
                    f"{_told(held.owner)} is at work here; waiting for at most {left:.0f} s",
                )
                waiting = True
            time.sleep(min(left, ASK_S))
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()
        with suppress(ClipbatchError):  # the next holder will
            for old in self._numbers():
                if old < self.number:
                    storage.delete(self._address(old))

    def _refusal(self, held: _Held) -> str:
        return (
            f"{storage.redact(self.config.database)}: another run ({_told(held.owner)}) holds it "
            f"until {held.until:%H:%M:%S} UTC and longer while it lives; nothing was done: run the "
            "same command again later, or set index.lease_wait_s to wait"
        )

    def _try(self) -> _Held | None:
        """Create the next lease if the last is void; returns who holds it otherwise."""
        last = 0
        while True:
            last = max(last, *self._numbers(), 0)
            held = self._look(last) if last else None
            if held is not None:
                return held
            last += 1
            if self._create(last):  # else the next look is at whoever was quicker
                return None

    def _create(self, number: int) -> bool:
        """Create a lease; False where somebody has it, or a higher one.

        A driver that slept since it listed the folder may create a number that was used and removed
        meanwhile. The highest is always there, so it finds that out from another listing.
        """
        if not (storage.create(self._address(number), self._record()) or self._is_mine(number)):
            return False
        self.number = number  # from here on it is given back, whatever fails
        if max(self._numbers(), default=0) == number:
            return True
        self.number = 0
        with suppress(ClipbatchError):  # a lower one means nothing
            storage.delete(self._address(number))
        return False

    def _is_mine(self, number: int) -> bool:
        """A PUT whose answer was lost is sent again, and is then refused."""
        data = self._ask(lambda: storage.read(self.root, _name(number)))
        return data is not None and self._token.encode() in data

    def _ask(self, question: Callable[[], T]) -> T | None:
        """Ask something of a lease's object; None where it is gone.

        Raises:
            Transient: the store does not say. That is no void lease: somebody may hold it.
        """
        try:
            return question()
        except BadImage as error:
            if error.reason == Reason.VANISHED:
                return None
            raise Transient(
                f"{storage.redact(self.root)}: the lease of another run cannot be read "
                f"({error.message}); nothing was done: see to the store and its permissions, then "
                "run the same command again"
            ) from error

    def _look(self, number: int) -> _Held | None:
        """Return who holds a lease; None where it is void."""
        name = _name(number)
        owner, lasts = Owner("an unknown host", "", 0, ""), self.config.lease_s
        renewed = self._ask(lambda: storage.modified(self.root, name))
        told = self._ask(lambda: storage.read(self.root, name))
        if renewed is None or told is None:
            return None  # a later holder removed it
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # half written
            record = json.loads(told)
            if record.get("given_back"):
                return None
            owner, lasts = Owner(**record["owner"]), float(record["lease_s"])
        until = renewed + dt.timedelta(seconds=lasts)
        if owner.is_dead() or storage.clock(self.root) > until:
            return None
        return _Held(number, owner, until)

    def _renew(self) -> None:
        while not self._stop.wait(self.config.lease_s / BEATS):
            try:
                taken = max(self._numbers(), default=self.number) > self.number
                if taken or not self._is_mine(self.number):
                    say("lease", "another run has taken it over; this one goes on, which is safe")
                    return
                storage.write_atomic(self._address(self.number), self._record())
            except ClipbatchError:
                continue  # a store out of order: the work itself will say so

    def _record(self, *, given_back: bool = False) -> bytes:
        told = {"owner": asdict(Owner.me()), "lease_s": self.config.lease_s, "token": self._token}
        return json.dumps(told | {"given_back": given_back}).encode()

    def _numbers(self) -> list[int]:
        names = [name.removesuffix(".json") for name in storage.names(self.root)]
        return [int(name) for name in names if name.isdecimal()]

    def _address(self, number: int) -> str:
        return storage.join(self.root, _name(number))


def _name(number: int) -> str:
    return f"{number:08}.json"


def _told(owner: Owner) -> str:
    return f"process {owner.pid} on {owner.host}"
