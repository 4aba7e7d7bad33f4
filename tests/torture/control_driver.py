"""The control's driver: the product's own decoding and encoding, but plain Ray Data around them.

Ray Data's checkpoint is the ledger and lance-ray's ``write_lance`` the sink; nothing else differs.
"""

import argparse
import os
import sys

from tests.torture.actors import bound
from tests.torture.points import Kill, Log, Points


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", required=True)
    parser.add_argument("--die", default="")
    parser.add_argument("--pause-s", type=float, default=0.0)
    parser.add_argument("--todo", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("settings", nargs="+")
    given = parser.parse_args()
    log = Log(given.log)
    points = Points(Kill(given.die), log)
    import lance
    import lance_ray
    import pyarrow as pa
    import ray
    from ray.data.checkpoint import CheckpointConfig

    from clipbatch import config as configs
    from clipbatch.collect import open_source
    from clipbatch.index import stores
    from clipbatch.runtime.decode import decode_block
    from clipbatch.runtime.spec import spec_of

    config = configs.load(None, given.settings)
    spec = spec_of(config)
    width = spec.dim * (1 + len(config.embed.levels))
    columns = pa.schema(
        [pa.field("content_id", pa.string()), pa.field("vectors", pa.list_(pa.float32(), width))]
    )
    real = lance.LanceDataset.commit

    def commit(*args, **options):
        points.reach("commit.vectors", "before")
        answer = real(*args, **options)
        points.reach("commit.vectors", "after")
        return answer

    lance.LanceDataset.commit = staticmethod(commit)

    def two_columns(block: pa.Table) -> pa.Table:
        wide = block.column("vectors").combine_chunks().flatten()
        lists = pa.FixedSizeListArray.from_arrays(wide, width)
        return pa.table([block.column("content_id"), lists], schema=columns)

    log.write(at="embed.started")
    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level="WARNING")
    context = ray.data.DataContext.get_current()
    context.checkpoint_config = CheckpointConfig(
        id_column="content_id", checkpoint_path=given.checkpoint
    )
    settings = {
        "source": open_source(config.collect),
        "preprocess": spec.preprocess,
        "max_pixels": config.collect.max_pixels,
    }
    actor = {
        "config": config.embed,
        "spec": spec,
        "noise": stores.noise_settings(config),
        "batch_size": config.embed.batch_size,
        "threads": config.embed.threads,
    }
    shape = {"batch_size": config.embed.batch_size, "batch_format": "pyarrow"}
    dataset = (
        ray.data.read_parquet(given.todo)
        .map_batches(decode_block, fn_kwargs=settings, num_cpus=0.5, **shape)
        .map_batches(
            bound(given.log, given.pause_s),
            fn_constructor_kwargs=actor,
            compute=ray.data.ActorPoolStrategy(size=2),
            num_cpus=0.5,
            **shape,
        )
        .map_batches(two_columns, num_cpus=0.5, batch_format="pyarrow")
    )
    lance_ray.write_lance(
        dataset,
        given.table,
        schema=columns,
        mode="append",
        min_rows_per_file=config.embed.merge_rows // (1 + len(config.embed.levels)),
    )
    log.write(ended=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
