import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipbatch.embed import philox

pytestmark = pytest.mark.quick

CPU = torch.device("cpu")
KEYS = [bytes(16), b"\xff" * 16, bytes(range(16)), bytes(range(240, 256))]


def test_numpy_gives_the_published_answer():
    # Random123, kat_vectors: philox4x64 10, counter and key zero. NumPy counts before it draws.
    words = np.random.Philox(key=0, counter=2**256 - 1).random_raw(4)
    assert [hex(w) for w in words] == [
        "0x16554d9eca36314c",
        "0xdb20fe9d672d0fdc",
        "0xd7e772cee186176b",
        "0x7e68b68aec7ba23b",
    ]


def test_first_words_are_pinned():
    key = bytes(range(16))
    expected = np.random.Philox(
        key=np.frombuffer(key, "<u8").astype(np.uint64), counter=0
    ).random_raw(3)
    assert philox.words_numpy(key, 3).tolist() == expected.tolist()
    assert philox.words_numpy(key, 3).tolist() == PINNED


PINNED = [14317193316798735637, 17731107087576214090, 4905550924925384780]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 1001])
def test_both_implementations_give_equal_bits(count):
    ours = philox.words_torch(KEYS, count, CPU).numpy().view(np.uint64)
    assert ours.shape == (len(KEYS), count)
    for row, key in zip(ours, KEYS, strict=True):
        np.testing.assert_array_equal(row, philox.words_numpy(key, count))


@given(st.binary(min_size=16, max_size=16))
def test_equal_bits_for_any_key(key):
    ours = philox.words_torch([key], 9, CPU).numpy().view(np.uint64)[0]
    np.testing.assert_array_equal(ours, philox.words_numpy(key, 9))


def test_a_longer_stream_begins_with_the_shorter():
    long, short = philox.words_numpy(KEYS[2], 50), philox.words_numpy(KEYS[2], 7)
    np.testing.assert_array_equal(long[:7], short)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_products_have_128_bits(x, constant):
    signed = x - 2**64 if x >= 2**63 else x
    high, low = philox._multiply(torch.tensor([signed]), constant)
    assert high.item() % 2**64 == x * constant >> 64
    assert low.item() % 2**64 == x * constant % 2**64
