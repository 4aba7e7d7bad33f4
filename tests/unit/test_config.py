import dataclasses
import json

import pytest

from clipbatch import config
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick


def test_defaults_build_and_are_json():
    loaded = config.load()
    assert json.loads(loaded.to_json())["embed"]["levels"] == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("embed.levls=[0.5]", "did you mean 'levels'"),
        ("embeded.levels=[0.5]", "did you mean 'embed'"),
        ("measure.duplicats.threshold=0.9", "did you mean 'duplicates'"),
        ("embed.levels=[-1.0]", "above 0"),
        ("embed.levels=[0.0]", "above 0"),
        ("embed.levels=[0.5, 0.5004]", "multiples of 0.001"),
        ("embed.levels=[0.5, 0.5]", "each level once"),
        ("embed.levels=0.5", "a list"),
        ("embed.batch_size=many", "of type int"),
        ("embed.batch_size=-1", "0 or more"),
        ("embed.noise_units=grams", "normalised"),
        ("embed.dtype=int8", "float16"),
        ("collect.kind=zip", "folder"),
        ("collect.max_pixels=0", "above 0"),
        ("report.checks.x={value='a.b', op='=', threshold=1}", "<="),
        ("report.checks.x={value='a.b', op='<='}", "threshold"),
        ("nonsense", "table.key=value"),
        ("embed.levels.x=1", "a list"),
    ],
)
def test_every_mistake_is_one_line_that_says_what_to_do(override, told):
    with pytest.raises(ConfigError, match=told) as caught:
        config.load(None, [override])
    assert "\n" not in str(caught.value)


def test_a_file_and_overrides_join_and_the_later_wins(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[embed]\nlevels = [1]\nencoder = 'pixels'\n[measure]\nmemory_gb = 2\n")
    loaded = config.load(file, ["embed.encoder=ViT-B-32", "embed.weights=openai"])
    assert loaded.embed.levels == (1.0,)
    assert (loaded.embed.encoder, loaded.embed.weights) == ("ViT-B-32", "openai")
    assert loaded.measure.memory_gb == 2.0


@pytest.mark.parametrize("text", ["[embed", "embed = 3"])
def test_a_broken_file_is_a_config_error(tmp_path, text):
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        config.load(file)


def test_a_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        config.load(tmp_path / "none.toml")


def test_the_environment_says_where_things_are(monkeypatch):
    monkeypatch.setenv("BUCKET", "s3://b")
    loaded = config.load(None, ["collect.source=$BUCKET/in", "index.database=${BUCKET}/db"])
    assert loaded.collect.source == "s3://b/in"
    assert loaded.index.database == "s3://b/db"
    with pytest.raises(ConfigError, match="export NOT_SET="):
        config.load(None, ["collect.source=$NOT_SET/in"])


def test_every_analysis_has_its_table():
    from clipbatch.measure import ANALYSES

    loaded = config.load()
    assert set(loaded.measure.parameters) == {a.name for a in ANALYSES}
    for analysis in ANALYSES:
        assert isinstance(loaded.measure.parameters[analysis.name], analysis.params)
        field = dataclasses.fields(analysis.params)[0]
        with pytest.raises(ConfigError, match="did you mean"):
            config.load(None, [f"measure.{analysis.name}.{field.name}x=1"])
