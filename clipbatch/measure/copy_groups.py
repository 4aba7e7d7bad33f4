"""Which contents show one picture, so that the copies of a picture are not taken for witnesses."""

import numpy as np
from numpy.typing import NDArray

from clipbatch.measure.base import Contents


def of(contents: Contents) -> NDArray[np.str_]:
    """Name the picture that each content shows, (N,): equal names are copies.

    Copies have equal pixels, were verified on pixels by the analysis of duplicates, or are joined
    by a chain of such. Similar vectors are not enough: a class of much alike pictures would be one
    group. A group has the smallest name of its pixels.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids = contents.content_id.tolist()
    pixels = contents.facts["pixel_id"].tolist() if "pixel_id" in contents.facts else ids
    names = np.array([name or own for name, own in zip(pixels, ids, strict=True)], np.str_)
    places = np.arange(len(ids))
    _, first, place = np.unique(names, return_index=True, return_inverse=True)
    a, b = [places], [first[place]]
    if "duplicates" in contents.found:
        a.append(places)
        b.append(contents.found["duplicates"].per_content["copy_group"])
    edges = (np.concatenate(a), np.concatenate(b))
    joined = coo_array((np.ones(len(edges[0]), np.int8), edges), shape=(len(ids), len(ids)))
    _, group = connected_components(joined, directed=False)
    order = np.argsort(names, kind="stable")
    smallest = order[np.unique(group[order], return_index=True)[1]]
    named: NDArray[np.str_] = names[smallest[group]]
    return named
