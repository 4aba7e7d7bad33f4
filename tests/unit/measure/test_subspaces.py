"""Principal angles: known values, invariances, and agreement with scipy."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.stats import ortho_group

from clipbatch.measure import subspaces

pytestmark = pytest.mark.quick

DIM = 64


def random_bases(count: int, k: int, dim: int = DIM, seed: int = 0):
    rng = np.random.default_rng(seed)
    return np.linalg.qr(rng.standard_normal((count, dim, k))).Q


def turned(basis: np.ndarray, degrees: np.ndarray, seed: int = 99) -> np.ndarray:
    """A basis whose principal angles with ``basis`` are exactly these, in a mixed-up order."""
    rng = np.random.default_rng(seed)
    dim, k = basis.shape
    away = rng.standard_normal((dim, k))
    away = np.linalg.qr(away - basis @ (basis.T @ away)).Q
    radians = np.radians(degrees)
    return (basis * np.cos(radians) + away * np.sin(radians)) @ ortho_group.rvs(k, random_state=rng)


@pytest.mark.parametrize("k", [1, 2, 7, 20])
def test_agrees_with_scipy(k):
    first, second = random_bases(5, k, seed=1), random_bases(5, k, seed=2)
    ours = subspaces.principal_angles(first, second)
    for a, b, angles in zip(first, second, ours, strict=True):
        np.testing.assert_allclose(angles, np.degrees(subspace_angles(a, b))[::-1], atol=1e-9)


def test_tiny_angles_keep_their_digits():
    # In one basis: the arccosine of the first three would be 0 or wrong by half its digits.
    known = np.array([1e-9, 1e-6, 1e-3, 0.5, 30.0, 90.0])
    basis = random_bases(1, len(known))
    other = turned(basis[0], known)[None]
    np.testing.assert_allclose(
        subspaces.principal_angles(basis, other)[0], known, rtol=1e-5, atol=1e-13
    )
    in_pairs = subspaces.all_pairs(np.concatenate([basis, other]))[0]
    np.testing.assert_allclose(in_pairs, known, rtol=1e-5, atol=1e-13)


def test_the_same_subspace_is_at_zero_whatever_its_basis():
    basis = random_bases(1, 6)
    mixed = basis @ ortho_group.rvs(6, random_state=3)
    assert subspaces.principal_angles(basis, mixed).max() < 1e-12


def test_orthogonal_subspaces_are_at_ninety():
    whole = random_bases(1, 10)
    angles = subspaces.principal_angles(whole[:, :, :5], whole[:, :, 5:])
    np.testing.assert_allclose(angles, 90.0, atol=1e-10)
    np.testing.assert_allclose(subspaces.distance(angles), 1.0)


def test_all_pairs_are_the_pairs_one_by_one():
    stack = random_bases(6, 4)
    stack[5] = turned(stack[2], np.array([0.0, 1e-7, 0.2, 40.0]))
    a, b = np.triu_indices(6, 1)
    one_by_one = subspaces.principal_angles(stack[a], stack[b])
    np.testing.assert_allclose(subspaces.all_pairs(stack), one_by_one, atol=1e-12)


def test_columns_are_basis_vectors():
    """The trap: 60 contents of 256 numbers, taken as columns, span R^60, and all angles are 0."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 60, 256))
    assert np.degrees(subspace_angles(first, second)).max() < 1e-5
    ours = subspaces.principal_angles(
        *(subspaces.bases(x[None], 59, centre=True) for x in (first, second))
    )
    # Random subspaces of a share s of all dimensions: cos^2 of the smallest angle nears 4 s (1 - s)
    # (Wachter 1980; Absil, Edelman & Koev 2006).
    share = 59 / 256
    expected = np.degrees(np.arccos(np.sqrt(4 * share * (1 - share))))
    assert ours.min() == pytest.approx(expected, abs=3.0)


def test_a_shared_mean_drags_the_smallest_linear_angle_down_and_not_the_affine_one():
    rng = np.random.default_rng(0)
    apart = rng.standard_normal((2, 120, 512))
    together = apart + 3.0 * rng.standard_normal(512)

    def smallest(samples, centre):
        bases = subspaces.bases(samples, 20, centre=centre)
        return subspaces.principal_angles(bases[:1], bases[1:]).min()

    assert smallest(apart, centre=False) > 60
    assert smallest(together, centre=False) < 5
    assert smallest(together, centre=True) == pytest.approx(smallest(apart, centre=True), abs=1e-9)


@pytest.mark.parametrize("centre", [True, False])
def test_angles_ignore_rotation_and_scale(centre):
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((4, 30, DIM)) * np.linspace(3, 0.1, DIM)
    moved = 250.0 * samples @ ortho_group.rvs(DIM, random_state=2)
    before, after = (
        subspaces.all_pairs(subspaces.bases(x, 5, centre=centre)) for x in (samples, moved)
    )
    np.testing.assert_allclose(before, after, atol=1e-8)


def test_a_basis_holds_the_directions_of_most_variance():
    rng = np.random.default_rng(2)
    samples = rng.standard_normal((40, DIM)) * np.linspace(3, 0.1, DIM) + 5.0
    basis = subspaces.bases(samples, 6, centre=True)
    right = np.linalg.svd(samples - samples.mean(axis=0), full_matrices=False).Vh[:6].T
    assert np.degrees(subspace_angles(basis, right)).max() < 1e-6
    np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-12)


def test_more_samples_than_dimensions():
    samples = np.random.default_rng(3).standard_normal((50, 4))
    basis = subspaces.bases(samples, 4, centre=True)
    np.testing.assert_allclose(basis @ basis.T, np.eye(4), atol=1e-12)


def test_samples_that_do_not_span_are_unknown_and_do_not_spoil_the_others():
    rng = np.random.default_rng(4)
    samples = rng.standard_normal((3, 10, DIM))
    samples[1] = samples[1, 0]
    stack = subspaces.bases(samples, 2, centre=True)
    angles = subspaces.all_pairs(stack)
    assert np.isnan(angles[[0, 2]]).all()
    assert np.isfinite(angles[1]).all()
    # About the origin one direction is left: its own.
    assert np.isfinite(subspaces.bases(samples[1], 1, centre=False)).all()
    assert np.isnan(subspaces.bases(samples[1], 2, centre=False)).all()


def test_distance_is_that_of_the_projectors():
    first, second = random_bases(3, 5, seed=1), random_bases(3, 5, seed=2)
    projectors = [b @ np.swapaxes(b, 1, 2) for b in (first, second)]
    expected = np.linalg.norm(projectors[0] - projectors[1], axis=(1, 2)) / np.sqrt(10)
    angles = subspaces.principal_angles(first, second)
    np.testing.assert_allclose(subspaces.distance(angles), expected, atol=1e-12)


def test_dimension_counts_directions_up_to_the_share():
    # Variances 16, 4, 1 along three axes, exactly: 76 %, 95 %, 100 %.
    axes = np.diag([4.0, 2.0, 1.0])
    samples = np.concatenate([axes, -axes]) + 7.0
    shares = {0.5: 1, 0.76: 1, 0.77: 2, 0.95: 2, 0.96: 3, 1.0: 3}
    assert {s: subspaces.dimension(samples, s) for s in shares} == shares


def test_dimension_of_samples_that_do_not_vary_is_zero():
    assert subspaces.dimension(np.full((20, 8), 0.3, np.float32), 0.5) == 0
