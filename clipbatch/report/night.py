"""One night as far as it is compared with another: who holds what, where and under which label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure import copy_groups
from clipbatch.measure.base import Contents, Finding

Reject = tuple[str, str]  # uri, reason
Sides = Mapping[str, frozenset[str]]
Pair = tuple[str, str, float]  # two content ids, and their cosine


@dataclass(frozen=True)
class Night:
    """One night.

    Attributes:
        contents: of the run.
        findings: analysis -> its answer; one that is not there is not compared.
        rejects: (uri, reason) of the pictures that could not be used.
    """

    contents: Contents
    findings: Mapping[str, Finding]
    rejects: Sequence[Reject]

    @cached_property
    def ids(self) -> frozenset[str]:
        """Its content ids."""
        return frozenset(self.contents.content_id.tolist())

    @cached_property
    def images(self) -> dict[str, str]:
        """Uri -> content id."""
        ids = self.contents.content_id[self.contents.image_content].tolist()
        return dict(zip(self.contents.image_uri.tolist(), ids, strict=True))

    @cached_property
    def first(self) -> dict[str, str]:
        """Content id -> its first image."""
        found: dict[str, str] = {}
        for uri, content in self.images.items():
            found.setdefault(content, uri)
        return found

    @cached_property
    def splits(self) -> Sides:
        """Content id -> the splits of its images."""
        return self._sides(self.contents.image_split, self.contents.split_names)

    @cached_property
    def image_labels(self) -> Sides:
        """Content id -> the labels of its images."""
        return self._sides(self.contents.image_label, self.contents.label_names)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Content id -> the label that its images agree on."""
        known = self.contents.label >= 0
        names = [self.contents.label_names[code] for code in self.contents.label[known].tolist()]
        return dict(zip(self.contents.content_id[known].tolist(), names, strict=True))

    @cached_property
    def pairs(self) -> list[Pair] | None:
        """The similar pictures; None where they were not looked for."""
        finding = self.findings.get("duplicates")
        if finding is None or finding.pairs is None:
            return None
        ids, pairs = self.contents.content_id, finding.pairs
        a, b = ids[pairs.a].tolist(), ids[pairs.b].tolist()
        return list(zip(a, b, pairs.cosine.tolist(), strict=True))

    @cached_property
    def copies(self) -> dict[str, str] | None:
        """Content id -> the picture it shows, one for all its copies; None without groups."""
        finding = self.findings.get("duplicates")
        if finding is None or "copy_group" not in finding.per_content:
            return None
        shown = copy_groups.of(replace(self.contents, found={"duplicates": finding}))
        return dict(zip(self.contents.content_id.tolist(), shown.tolist(), strict=True))

    def flagged(self, analysis: str, array: str) -> list[str] | None:
        """Return the contents that an analysis marked; None where it was not answered."""
        finding = self.findings.get(analysis)
        if finding is None or array not in finding.per_content:
            return None
        marked: list[str] = self.contents.content_id[finding.per_content[array] == 1].tolist()
        return marked

    def _sides(self, codes: NDArray[np.int32], names: Sequence[str]) -> Sides:
        found: dict[str, set[str]] = {}
        for content, code in zip(self.images.values(), codes.tolist(), strict=True):
            if code >= 0:
                found.setdefault(content, set()).add(names[code])
        return {content: frozenset(sides) for content, sides in found.items()}
