"""[collect]: where the pictures are and what their names tell."""

from dataclasses import dataclass

from clipbatch.build import refuse


@dataclass(frozen=True)
class CollectConfig:
    """Where the pictures are and what their names tell.

    Attributes:
        source: a folder, .tar, .parquet or .csv; local or s3://.
        kind: folder, tar, parquet, manifest, or auto (from the name).
        label: folder and tar: "parent" (name of the directory around the picture), "level:K"
            (K-th directory under the root, from 0) or "none"; tar also "member:cls"
            (the sibling member with that extension). parquet and manifest: a column, or "".
            "auto" takes "parent" for folders, "member:cls" for tars and a column named "label".
        split: folder and tar: "level:K", "none", or "regex:..." whose first group is searched in
            the path; parquet and manifest: a column. "auto": a top directory (or column "split")
            named train, val, valid, validation, dev or test.
        caption: parquet and manifest: a column; tar: "member:txt"; "auto" and "none" likewise.
        image: parquet: the column of bytes; manifest: the column of URIs. "auto" finds it.
        seed: the collection's; noise and subsamples follow from it.
        max_pixels, max_bytes: larger pictures are bad rows, refused before decoding.
        timeout_s: for one read from a store.
        retry_bad: open bad pictures again, after a limit was raised or a library mended.
        allow_empty: let a source that lists nothing mark every picture gone.
    """

    source: str = ""
    kind: str = "auto"
    label: str = "auto"
    split: str = "auto"
    caption: str = "auto"
    image: str = "auto"
    seed: int = 0
    max_pixels: int = 100_000_000
    max_bytes: int = 256 * 1024 * 1024
    timeout_s: float = 30.0
    allow_empty: bool = False
    retry_bad: bool = False

    def __post_init__(self) -> None:
        kinds = ("auto", "folder", "tar", "parquet", "manifest")
        if self.kind not in kinds:
            raise refuse("collect.kind", self.kind, f"one of {', '.join(kinds)}")
        for name in ("max_pixels", "max_bytes", "timeout_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise refuse(f"collect.{name}", getattr(self, name), "a number above 0")
