"""Parts of the recipe that need no WordNet; jobs/fit_offline.py --check runs the whole."""

import numpy as np
import pytest
from safetensors.torch import load_file, save

from clipbatch.embed import offline
from clipbatch.embed.joint import heads, towers
from clipbatch.embed.joint.fit import recipe
from clipbatch.embed.joint.fit.compare import differences
from clipbatch.embed.joint.fit.kriging import unit

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def rows():
    weight = offline.classifier().classifier.weight.detach().double().numpy()
    return unit(recipe.centred(weight))


@pytest.fixture(scope="module")
def basis(rows):
    return recipe.directions(rows)


def test_directions_are_orthonormal_and_hold_most_of_the_rows(rows, basis):
    np.testing.assert_allclose(basis @ basis.T, np.eye(heads.LOOKS), atol=1e-9)
    assert np.ptp(basis[0]) < 1e-12  # the constant
    assert ((rows @ basis.T) ** 2).sum(axis=1).mean() > 0.8


def test_the_shipped_looks_are_those_directions(basis):
    # The one part of the file that follows from the image tower alone, fitted anew here.
    shipped = load_file(towers.PROJECTIONS.checked())["image.looks.weight"].double().numpy()
    subspace = unit(shipped[1:]) @ basis[1:].T
    np.testing.assert_allclose(shipped[0], recipe.CONSTANT * basis[0], atol=1e-4)
    assert np.linalg.svd(subspace, compute_uv=False).min() > 1 - 1e-3


def test_signs_do_not_hang_on_the_solver(rows):
    few = rows[:40, :60]
    np.testing.assert_allclose(recipe.leading(few, 5), recipe.leading(few[::-1], 5), atol=1e-9)


def test_scalars_of_the_recipe_are_those_of_the_file():
    shipped = load_file(towers.PROJECTIONS.checked())
    assert float(shipped["image.length"]) == pytest.approx(recipe.PICTURE_LABELS, rel=1e-3)
    assert float(shipped["text.length"]) == pytest.approx(recipe.PROMPT_LABELS, rel=1e-3)
    assert float(shipped["image.temperature"]) == pytest.approx(recipe.TEMPERATURE, rel=1e-3)


def test_a_comparison_says_how_far():
    data = towers.PROJECTIONS.checked().read_bytes()
    tensors = load_file(towers.PROJECTIONS.checked())
    assert all("difference 0.00e+00" in line for line in differences(data, data))
    tensors["text.labels.bias"] += 0.5
    lines = {line.split(":")[0]: line for line in differences(data, save(tensors))}
    assert "difference 5.00e-01" in lines["text.labels.bias"]
    del tensors["text.labels.bias"]
    assert any("only in one" in line for line in differences(data, save(tensors)))
