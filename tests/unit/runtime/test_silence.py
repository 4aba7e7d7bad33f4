import pytest

from clipbatch.errors import Incomplete, Reason
from clipbatch.runtime.silence import IN_A_ROW, Silence

pytestmark = pytest.mark.quick

LATE = (Reason.TIMED_OUT, "no answer within 30 s (collect.timeout_s)")
DOWN = (Reason.UNREADABLE, "the store could not be reached")
READ = (None, None)


@pytest.mark.parametrize("silent", [LATE, DOWN, (Reason.UNREADABLE, "the store answered 503 Slow")])
def test_a_store_that_answers_for_nobody_is_down(silent):
    heard = Silence()
    heard.hear([silent] * (IN_A_ROW - 1))
    with pytest.raises(Incomplete, match="16 in a row"):
        heard.hear([silent])


def test_one_answer_among_them_shows_that_it_is_up():
    heard = Silence()
    for _ in range(10):
        heard.hear([DOWN] * (IN_A_ROW - 1) + [READ])


@pytest.mark.parametrize(
    "own",
    [
        (Reason.VANISHED, "the object is gone since it was listed"),
        (Reason.UNREADABLE, "the file cannot be read: Permission denied"),
        (Reason.UNREADABLE, "the store answered 403 Forbidden"),
        (Reason.CORRUPT, "did not answer"),
    ],
)
def test_what_is_the_pictures_own_stays_a_bad_row(own):
    Silence().hear([own] * 1000)
