import errno

import pytest
from obstore.exceptions import GenericError

from clipbatch.errors import Incomplete, Reason
from clipbatch.runtime.silence import IN_A_ROW, Silence
from clipbatch.storage import local, remote

pytestmark = pytest.mark.quick

LATE = (Reason.TIMED_OUT, "no answer within 30 s (collect.timeout_s)")
DOWN = (Reason.UNREADABLE, "the store could not be reached")
READ = (None, None)


def answered(error):
    """What a worker writes down of a failed read."""
    bad = local._bad(error) if isinstance(error, OSError) else remote._bad(error, 30.0)
    return bad.reason, bad.message


@pytest.mark.parametrize(
    "silent",
    [
        LATE,
        DOWN,
        (Reason.UNREADABLE, "the store answered 503 Slow"),
        answered(GenericError("error sending request")),
        answered(GenericError("status code: 500 Internal Server Error")),
        answered(GenericError("operation timed out")),
        answered(OSError(errno.EIO, "Input/output error")),
        answered(OSError(errno.ESTALE, "Stale file handle")),
        answered(OSError(errno.ENOTCONN, "Transport endpoint is not connected")),
    ],
)
def test_a_store_that_answers_for_nobody_is_down(silent):
    heard = Silence()
    heard.hear([silent] * (IN_A_ROW - 1))
    with pytest.raises(Incomplete, match="16 in a row"):
        heard.hear([silent])


def test_one_answer_among_them_shows_that_it_is_up():
    heard = Silence()
    for _ in range(10):
        heard.hear([DOWN] * (IN_A_ROW - 1))
        assert heard.count == IN_A_ROW - 1
        heard.hear([READ])
        assert heard.count == 0


@pytest.mark.parametrize(
    "own",
    [
        (Reason.VANISHED, "the object is gone since it was listed"),
        (Reason.UNREADABLE, "the file cannot be read: Permission denied"),
        (Reason.UNREADABLE, "the store answered 403 Forbidden"),
        (Reason.CORRUPT, "did not answer"),
        answered(GenericError("status code: 404 Not Found")),
        answered(PermissionError(errno.EACCES, "Permission denied")),
    ],
)
def test_what_is_the_pictures_own_stays_a_bad_row(own):
    heard = Silence()
    heard.hear([own] * 1000)
    assert heard.count == 0
