"""[index]: where the tables live and how they are kept."""

from dataclasses import dataclass

from clipbatch.build import refuse


@dataclass(frozen=True)
class IndexConfig:
    """Where the tables live and how they are kept.

    Attributes:
        database: folder or s3:// prefix of the LanceDB database.
        vector_index_above: rows above which an IVF_RQ index is built.
        compact_above: fragments above which a table is compacted.
        keep_days: untagged versions older than this are cleaned up.
        keep_runs: runs of one encoder whose tables stay readable; an older one loses its tags, its
            unused findings and the vectors of pictures gone before it, once it is also older than
            keep_days. Baselines, references and accepted runs stay. 0 keeps all.
        conflict_retries: how often one merge is tried against other writers.
        lease_s: how long a run that died keeps others out, who would do its work twice; 0: not.
        lease_wait_s: how long to wait for another run's lease before giving up.
    """

    database: str = "clipbatch-db"
    vector_index_above: int = 100_000
    compact_above: int = 50
    keep_days: int = 14
    keep_runs: int = 30
    conflict_retries: int = 30
    lease_s: float = 90.0
    lease_wait_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.database:
            raise refuse("index.database", self.database, "a folder or an s3:// prefix")
        for name in (
            "vector_index_above", "compact_above", "keep_days", "keep_runs", "conflict_retries",
            "lease_s", "lease_wait_s",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) < float("inf"):
                raise refuse(f"index.{name}", getattr(self, name), "0 or more")
