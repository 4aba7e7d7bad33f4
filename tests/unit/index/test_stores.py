"""Whose vectors are in a table, and are they those that this configuration would make?"""

import dataclasses

import pytest

from clipbatch import embed, schema
from clipbatch.errors import ConfigError
from clipbatch.index import stores, table
from tests.ray import world

pytestmark = pytest.mark.quick

SHAPE = stores.Shape(8, 1)


@pytest.fixture
def made(tmp_path):
    config = world.load(tmp_path)
    spec = embed.describe(config.embed, None)
    stores.create(config, spec, schema.vectors_table(spec.slug), SHAPE)
    return config, spec


def test_what_is_pinned_is_found_again(made):
    config, spec = made
    found = stores.find(config, spec)
    assert found.shape == SHAPE
    assert set(found.tables.values()) == {schema.vectors_table(spec.slug)}


def test_another_encoder_has_a_table_of_its_own(made, tmp_path):
    config, spec = made
    other = world.load(tmp_path, "embed.pixels_side=14")
    changed = embed.describe(other.embed, None)
    assert changed.slug != spec.slug
    assert stores.find(other, changed) is None
    stores.create(other, changed, schema.vectors_table(changed.slug), SHAPE)
    assert stores.find(config, spec).tables != stores.find(other, changed).tables


def test_another_seed_or_noise_never_shares_a_key_and_keeps_the_clean_vectors(made, tmp_path):
    _, spec = made
    clean = schema.vectors_table(spec.slug)
    for setting in ("collect.seed=1", "embed.noise_units=unit"):
        found = stores.find(world.load(tmp_path, setting), spec).tables
        assert found.pop(schema.CLEAN) == clean
        assert all(name.startswith(f"{clean}__noise_") for name in found.values())


@pytest.mark.parametrize(
    ("pinned", "words"),
    [
        ({"encoder": "another"}, "got vectors of encoder 'another', expected 'pixels'"),
        ({"batch_size": "many"}, "got batch_size 'many', expected a number"),
        ({"threads": "0"}, "got threads '0'"),
        ({"noise": None}, "without the pinned facts noise"),
    ],
)
def test_a_table_whose_pinned_facts_differ_is_refused(tmp_path, pinned, words):
    config = world.load(tmp_path)
    spec = embed.describe(config.embed, None)
    good = {
        "encoder": spec.name, "weights": spec.weights, "batch_size": "8", "threads": "1",
        "noise": stores.noise_settings(config).fingerprint(), "seed": "0",
    }  # fmt: skip
    facts = {key: value for key, value in (good | pinned).items() if value is not None}
    columns = schema.vectors_schema(spec.dim)
    table.create(config.index.database, schema.vectors_table(spec.slug), columns, facts)
    with pytest.raises(ConfigError, match=words) as refused:
        stores.find(config, spec)
    assert "another index.database" in str(refused.value)


def test_vectors_of_another_length_or_type_are_refused(made, tmp_path):
    config, spec = made
    with pytest.raises(ConfigError, match="got columns"):
        stores.find(config, dataclasses.replace(spec, dim=spec.dim + 1))
    with pytest.raises(ConfigError, match=r"embed\.dtype"):
        stores.find(world.load(tmp_path, "embed.dtype=float16"), spec)
