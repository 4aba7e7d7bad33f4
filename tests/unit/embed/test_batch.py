import numpy as np
import pytest
import torch

from clipbatch.embed import batch as module
from clipbatch.embed.batch import check, embed_pictures, probe_batch_size, run_padded
from clipbatch.embed.device import set_threads
from clipbatch.embed.encoder import EncoderSpec, Preprocess
from clipbatch.embed.noise import NoiseSettings, add
from clipbatch.embed.preprocess import normalise, to_unit
from clipbatch.errors import ConfigError, ContractBroken

pytestmark = pytest.mark.quick

SETTINGS = NoiseSettings("normalised", (0.5, 1.0), seed=3)
SIZE = 8  # small, so that the test is quick; tables get 16 or more


class Small:
    """A real encoder on a device that holds only so many pictures."""

    def __init__(self, encoder, holds):
        self.spec, self.device = encoder.spec, encoder.device
        self.encoder, self.holds, self.shapes = encoder, holds, []

    def encode(self, inputs):
        if len(inputs) > self.holds:
            torch.empty(2**55)  # the allocator's own words
        self.shapes.append(len(inputs))
        return self.encoder.encode(inputs)


class Constant:
    """An encoder that answers one row for every picture."""

    def __init__(self, row, dim=2, unit_length=True):
        self.spec = EncoderSpec("fake", "", dim, unit_length, Preprocess(2, 2))
        self.device, self.row = torch.device("cpu"), torch.tensor(row)

    def encode(self, inputs):
        return self.row.expand(len(inputs), -1)


@pytest.fixture(scope="module")
def pictures(groceries, prepared):
    return prepared[:10], [content for content, _, _ in groceries[:10]]


@pytest.fixture(scope="module")
def inputs(offline, pictures):
    return normalise(torch.from_numpy(pictures[0]), offline.spec.preprocess)


@pytest.fixture(scope="module")
def expected(offline, inputs):
    return run_padded(offline, inputs, SIZE).numpy()


def test_padded_vectors_agree_with_plain_ones(offline, inputs, expected):
    plain = offline.encode(inputs).numpy()
    assert (1 - (plain * expected).sum(axis=1)).max() <= 1e-6


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_ignore_position_and_mates(offline, inputs, expected, threads):
    order = torch.tensor([7, 2, 9, 0, 4, 1, 8, 3, 6, 5])
    try:
        set_threads(threads)
        whole = run_padded(offline, inputs, SIZE)
        assert torch.equal(run_padded(offline, inputs[order], SIZE), whole[order])
        assert torch.equal(run_padded(offline, inputs[3:6], SIZE), whole[3:6])
        assert torch.equal(run_padded(offline, inputs[9:], SIZE), whole[9:])
    finally:
        set_threads(1)
    assert (1 - (whole.numpy() * expected).sum(axis=1)).max() <= 1e-6


def test_no_inputs_give_no_vectors(offline, inputs):
    assert run_padded(offline, inputs[:0], SIZE).shape == (0, offline.spec.dim)


def test_a_block_gives_every_wanted_variant_once(offline, pictures, expected):
    batch, names = pictures
    wanted = [[0, 500, 1000] if i % 2 else [0] for i in range(len(names))]
    small = Small(offline, holds=SIZE)
    out = embed_pictures(small, batch, names, wanted, SETTINGS, SIZE)
    pairs = list(zip(out.variant.tolist(), out.picture.tolist(), strict=True))
    assert pairs == sorted((v, i) for i, variants in enumerate(wanted) for v in variants)
    assert small.shapes == [SIZE] * 3  # 20 rows
    assert set(out.batch_size.tolist()) == {SIZE}
    np.testing.assert_array_equal(out.vector[out.variant == 0], expected)
    assert (out.vector.dtype, out.variant.dtype) == (np.float32, np.int32)


def test_noisy_vectors_are_those_of_noisy_inputs(offline, pictures):
    batch, names = pictures
    out = embed_pictures(offline, batch[4:7], names[4:7], [[1000]] * 3, SETTINGS, SIZE)
    preprocess = offline.spec.preprocess
    for i in range(3):
        unit = to_unit(torch.from_numpy(batch[4 + i : 5 + i]), preprocess)
        key = SETTINGS.key(names[4 + i], 1000)
        alone = run_padded(offline, add(unit, [1.0], [key], preprocess, "normalised"), SIZE)
        np.testing.assert_array_equal(out.vector[i], alone[0].numpy())


def test_bits_ignore_how_pictures_are_cut_into_blocks(offline, pictures):
    batch, names = pictures
    whole = embed_pictures(offline, batch[:5], names[:5], [[0, 500]] * 5, SETTINGS, SIZE)
    for i in range(5):
        one = slice(i, i + 1)
        alone = embed_pictures(offline, batch[one], names[one], [[500, 0]], SETTINGS, SIZE)
        np.testing.assert_array_equal(alone.vector, whole.vector[whole.picture == i])


def test_out_of_memory_halves_the_shape_and_says_so(offline, pictures, expected):
    batch, names = pictures
    small = Small(offline, holds=3)
    out = embed_pictures(small, batch, names, [[0]] * 10, SETTINGS, SIZE)
    assert small.shapes == [2] * 5
    assert out.batch_size.tolist() == [2] * 10
    cosines = (out.vector.astype(np.float64) * expected).sum(axis=1)
    assert (1 - cosines).max() <= 1e-6


def test_only_the_rows_after_the_failure_change_shape(offline, pictures):
    class Once(Small):
        def encode(self, inputs):
            if len(self.shapes) == 1:
                self.holds = 4
            return super().encode(inputs)

    batch, names = pictures
    out = embed_pictures(Once(offline, 8), batch, names, [[0]] * 10, SETTINGS, SIZE)
    assert out.batch_size.tolist() == [8] * 8 + [4] * 2


def test_a_picture_that_never_fits_is_an_error_that_says_what_to_do(offline, pictures):
    with pytest.raises(ConfigError, match="one picture a forward pass; give the actor more memory"):
        embed_pictures(Small(offline, 0), pictures[0], pictures[1], [[0]] * 10, SETTINGS, SIZE)


def test_other_errors_are_not_taken_for_lack_of_memory(offline, pictures):
    class Broken(Small):
        def encode(self, inputs):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        embed_pictures(Broken(offline, 1), pictures[0], pictures[1], [[0]] * 10, SETTINGS, SIZE)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Constant([float("nan"), 0.0]), "content a has numbers that are not finite"),
        (Constant([float("inf"), 0.0]), "not finite"),
        (Constant([1.01, 0.0]), "length 1.01, expected 1"),
        (Constant([0.0, 0.0]), "length 0, expected 1"),
    ],
)
def test_broken_vectors_stop_everything(encoder, message):
    with pytest.raises(ContractBroken, match=message):
        embed_pictures(encoder, np.zeros((2, 3, 2, 2), np.uint8), "ab", [[0]] * 2, SETTINGS, 4)


def test_check_accepts_float16_rounding_and_refuses_another_dimension():
    spec = EncoderSpec("fake", "", 512, True, Preprocess(2, 2))
    vectors = np.random.default_rng(0).normal(size=(50, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    check(vectors.astype(np.float16).astype(np.float32), spec, [""] * 50)
    with pytest.raises(ContractBroken, match=r"expected \(50, 512\)"):
        check(vectors[:, :511], spec, [""] * 50)


def test_probe_takes_the_smallest_shape_near_the_best(monkeypatch):
    rates = {4: 50.0, 8: 96.0, 16: 100.0, 32: 98.0}
    monkeypatch.setattr(module, "_rate", lambda encoder, shape, end: rates[shape])
    encoder = Constant([1.0, 0.0])
    assert probe_batch_size(encoder, list(rates)) == 8
    assert probe_batch_size(encoder, list(rates), seconds=0) == 4


def test_probe_stops_where_memory_does(offline):
    small = Small(offline, holds=4)
    assert probe_batch_size(small, (2, 4, 8, 16), seconds=60) in (2, 4)
    assert max(small.shapes) == 4


def test_probe_is_short(offline):
    import time

    begin = time.monotonic()
    assert probe_batch_size(offline) in module.CPU_SHAPES
    assert time.monotonic() - begin < 15  # 3 s and the last measurement, on a busy machine
