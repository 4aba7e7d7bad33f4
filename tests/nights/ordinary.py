"""What happens in nights in which nothing is wrong; each function changes a tree and says how."""

from dataclasses import replace

from tests.nights.tree import Place, Tree

PERCENT = 100


def quiet(tree: Tree) -> str:
    """Nothing at all."""
    return "nothing"


def added(tree: Tree, least: int = 8, most: int = 20) -> str:
    """New pictures of the same kind."""
    count = int(tree.rng.integers(least, most + 1))
    tree.arrive(count)
    return f"{count} added"


def deleted(tree: Tree, most: int = 10) -> str:
    """A few pictures go."""
    paths = tree.some(int(tree.rng.integers(3, most + 1)))
    for path in paths:
        del tree.files[path]
    return f"{len(paths)} deleted"


def renamed(tree: Tree, most: int = 10) -> str:
    """A few pictures are called otherwise."""
    paths = tree.some(int(tree.rng.integers(3, most + 1)))
    for path in paths:
        tree.files[replace(Place.of(path), name=tree.name()).path] = tree.files.pop(path)
    return f"{len(paths)} renamed"


def relabelled(tree: Tree) -> str:
    """Somebody changes the labels of one to three pictures."""
    paths = tree.some(int(tree.rng.integers(1, 4)))
    for path in paths:
        place = Place.of(path)
        others = [label for label in tree.labels() if label != place.label]
        moved = replace(place, label=str(tree.rng.choice(others)))
        tree.files[moved.path] = tree.files.pop(path)
    return f"{len(paths)} relabelled"


def one_percent(tree: Tree) -> str:
    """Exactly one picture in a hundred is added, deleted or renamed."""
    changes = round(len(tree.files) / PERCENT)
    gone, other = changes // 5, changes // 5
    for path in tree.some(gone):
        del tree.files[path]
    for path in tree.some(other):
        tree.files[replace(Place.of(path), name=tree.name()).path] = tree.files.pop(path)
    fresh = changes - gone - other
    tree.arrive(fresh)
    return f"1 %: {fresh} added, {gone} deleted, {other} renamed"


def mixed(tree: Tree) -> str:
    """Something of everything."""
    return ", ".join(change(tree) for change in (added, deleted, renamed, relabelled))


ORDINARY = (one_percent, mixed, added, deleted, renamed, relabelled)
