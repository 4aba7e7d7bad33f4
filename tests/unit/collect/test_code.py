"""Nothing that a source or a table holds is unpickled, even where ray.data showed pyarrow how."""

import pickle
import subprocess
import sys
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipbatch import schema
from clipbatch.errors import ConfigError
from clipbatch.index import table

pytestmark = pytest.mark.quick


class Payload:
    """An object whose unpickling leaves a file behind."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (Path(self.mark),)


@pytest.fixture
def pickled():
    """Return a pyarrow type whose cells are unpickled when they are looked at, as Ray's are."""
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectType

    return ArrowPythonObjectType()


def cells(kind, mark, count=3):
    storage = pa.array([pickle.dumps(Payload(mark))] * count, kind.storage_type)
    return pa.ExtensionArray.from_storage(kind, storage)


def hostile(kind, mark):
    """A file of pictures with pickles beside them, in plain, listed and nested cells."""
    objects = cells(kind, mark)
    pictures = pa.array([b"1", b"2", b"3"], pa.binary())
    offsets = pa.array([0, 1, 2, 3], pa.int32())
    return pa.table(
        {
            "image": pa.StructArray.from_arrays([pictures, objects], ["bytes", "path"]),
            "label": objects,
            "split": pa.ListArray.from_arrays(offsets, objects),
            "caption": pa.StructArray.from_arrays([objects], ["text"]),
        }
    )


def test_the_payload_works(tmp_path, pickled):
    hostile(pickled, tmp_path / "mark").column("label").to_pylist()
    assert (tmp_path / "mark").exists()


# In a process of its own: the driver's and the workers' have imported ray.data, a test's may not.
READ = """
import sys
import ray.data
from clipbatch.collect import open_source
from clipbatch.collect.base import Place
from clipbatch.config import CollectConfig
source = open_source(CollectConfig(source=sys.argv[1], kind=sys.argv[2], image=sys.argv[3]))
try:
    entries = list(source.entries())
    found = list(source.read([Place(e.uri, e.size, e.offset) for e in entries]))
    print(len(entries), [d if isinstance(d, bytes) else "bad" for d in found])
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("kind", "image", "told"),
    [
        ("parquet", "image", "3 [b'1', b'2', b'3']"),
        ("parquet", "auto", "3 [b'1', b'2', b'3']"),
        ("manifest", "name", "3 ['bad', 'bad', 'bad']"),
    ],
)
def test_a_parquet_file_with_pickles_is_read_without_running_them(
    tmp_path, pickled, kind, image, told
):
    mark = tmp_path / "mark"
    rows = hostile(pickled, mark).append_column("name", pa.array(["a.png", "b.png", "c.png"]))
    pq.write_table(rows, tmp_path / "pictures.parquet")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "pictures.parquet"), kind, image],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == told
    assert not mark.exists()


def test_an_array_of_objects_is_not_loaded(tmp_path):
    from clipbatch.collect import open_source
    from clipbatch.collect.base import Place
    from clipbatch.collect.decode import decode
    from clipbatch.config import CollectConfig
    from clipbatch.errors import BadImage

    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in/a.npy", np.array([Payload(tmp_path / "mark")], object))
    (tmp_path / "in/a.npy").rename(tmp_path / "in/a.png")
    source = open_source(CollectConfig(source=str(tmp_path / "in")))
    (data,) = source.read([Place("a.png", -1)])
    with pytest.raises(BadImage, match="not_an_image"):
        decode(data, max_pixels=100_000_000)
    assert not (tmp_path / "mark").exists()


def test_a_table_with_pickles_is_refused(tmp_path, pickled):
    rows = pa.table({"run_id": ["r"], "config": cells(pickled, tmp_path / "mark", 1)})
    tagged = rows.schema.with_metadata({"clipbatch.schema": schema.VERSION})
    lance.write_dataset(rows.cast(tagged), table.path(str(tmp_path), schema.RUNS))
    with pytest.raises(ConfigError, match="plain types"):
        table.open_table(str(tmp_path), schema.RUNS)
    assert not (tmp_path / "mark").exists()
