"""A WordNet of a dozen nouns, in the real file format."""

import pytest

from clipbatch.embed.joint.fit.wordnet import FOOD, PLANT, Nouns

ANIMAL, TOP = 5, 3
# By offset: words, parents, topic and gloss.
SYNSETS = {
    "00000001": (["entity"], [], TOP, "that which is"),
    "00000002": (["animal", "beast"], ["00000001"], ANIMAL, "a living thing that moves"),
    "00000003": (["dog", "domestic_dog"], ["00000002"], ANIMAL, 'a barker; "the dog barked"'),
    "00000004": (["cat"], ["00000002"], ANIMAL, "(informal) a meower"),
    "00000005": (["poodle"], ["00000003"], ANIMAL, "a curly dog"),
    "00000006": (["terrier"], ["00000003"], ANIMAL, "a small dog"),
    "00000007": (["fruit"], ["00000001"], FOOD, "what one eats of a plant"),
    "00000008": (["plant"], ["00000001"], PLANT, "a living thing that stays"),
    "00000009": (["gourd"], ["00000008"], PLANT, "a vine"),
    "00000010": (["melon"], ["00000007"], FOOD, "a sweet fruit"),
    "00000011": (["melon", "melon_vine"], ["00000009"], PLANT, "a vine with melons"),
    "00000012": (["squash"], ["00000009"], PLANT, "a vine with squashes"),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Write data.noun and index.noun as wndb(5WN) says."""
    root = tmp_path_factory.mktemp("dict")
    lines, senses = ["  1 the licence is indented"], {}
    for offset, (words, parents, topic, gloss) in SYNSETS.items():
        said = " ".join(f"{word} 0" for word in words)
        up = " ".join(f"@ {parent} n 0000" for parent in parents)
        head = f"{offset} {topic:02} n {len(words):02x} {said} {len(parents):03}"
        lines.append(f"{head} {up} | {gloss}  ".replace("  |", " |"))
        for word in words:
            senses.setdefault(word, []).append(offset)
    (root / "data.noun").write_text("\n".join(lines) + "\n")
    index = [f"{w} n {len(o)} 1 @ {len(o)} 0 {' '.join(o)}" for w, o in senses.items()]
    (root / "index.noun").write_text("\n".join(index) + "\n")
    return root


@pytest.fixture(scope="session")
def nouns(folder):
    return Nouns(folder)
