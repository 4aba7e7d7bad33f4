"""Vectors are checked once, and again where their writer went on after the check."""

import numpy as np
import pyarrow as pa
import pytest

from clipbatch import schema
from clipbatch.errors import ContractBroken
from clipbatch.index import table, verify
from tests.unit.index.test_table import vectors

pytestmark = pytest.mark.quick


def checked(db, sound):
    versions = {"v": table.latest(db, "v")}
    return verify.check_vectors(db, versions, sound, unit_length=False)


def test_a_writer_that_went_on_after_the_check_is_looked_at_again(tmp_path):
    db = str(tmp_path)
    table.create(db, "v", schema.vectors_schema(8))
    table.merge(db, "v", vectors(["a", "b"], run="killed"), update=False)
    table.merge(db, "v", vectors(["c"], run="it's"), update=False)
    assert checked(db, {}) == (3, {"killed": 2, "it's": 1})
    assert checked(db, {"killed": 2, "it's": 1}) == (0, {})
    # It was not killed: it was slow, and what it writes now is not finite.
    late = vectors(["d"], run="killed")
    wrong = pa.FixedSizeListArray.from_arrays(pa.array(np.full(8, np.nan, np.float32)), 8)
    late = late.set_column(2, late.schema.field("vector"), wrong)
    table.merge(db, "v", late, update=False)
    with pytest.raises(ContractBroken, match="1 vectors"):
        checked(db, {"killed": 2, "it's": 1})
