"""How well do the vectors tell the classes apart, and how much of that does noise take away?

Classifiers are trained on clean vectors and tested on clean and on every noise level of other
contents: nearest centroid, linear probe, and, where the encoder reads text, prompts (zero-shot).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clipbatch import seeds
from clipbatch.errors import ConfigError, UnitFailed
from clipbatch.measure import accuracy_finding, classifiers, repeats, zeroshot
from clipbatch.measure.accuracy_folds import AccuracyParams, Chosen, Fold, choose, variants_of
from clipbatch.measure.accuracy_summary import Summary
from clipbatch.measure.base import (
    Analysis,
    Contents,
    Finding,
    Inputs,
    Result,
    Results,
    Unit,
    check_vectors,
)
from clipbatch.measure.cost import Cost, Size
from clipbatch.measure.repeats import CLEAN

ASSUMED_DIM: Final = 2048  # for the estimate only: plan does not see vectors
NO_TEXT: Final = "prompts need an encoder with a text tower, and there is none"


def plan(contents: Contents, params: AccuracyParams) -> list[Unit]:
    """Make one unit of every fold.

    Raises:
        UnitFailed: a unit would not fit ``memory_gb``, or a split is not there.
    """
    chosen = choose(contents, params)
    if len(chosen.names) < 2:
        return []
    variants = variants_of(contents, params)
    memory = needed(len(chosen.rows), len(variants))
    if memory > params.memory_gb * 1e9:
        raise UnitFailed(
            f"accuracy: a fold over {len(chosen.rows)} contents needs about {memory / 1e9:.1f} GB, "
            f"got a limit of {params.memory_gb:g} GB; lower measure.accuracy.sample or raise "
            "memory_gb"
        )
    codes = np.array([contents.label_names.index(name) for name in chosen.names])
    text = {"classes": codes} | _prompts(contents, chosen, params)
    return [
        Unit(fold.key, chosen.rows, variants, text | _masks(fold), memory) for fold in chosen.folds
    ]


def needed(rows: int, variants: int) -> int:
    """Bytes a unit holds: the vectors of all variants, and three copies in double precision."""
    return rows * ASSUMED_DIM * (4 * variants + 3 * 8)


def _masks(fold: Fold) -> dict[str, NDArray[np.bool_]]:
    return {"train": fold.train, "test": fold.test, "held": fold.held}


def _prompts(contents: Contents, chosen: Chosen, params: AccuracyParams) -> dict[str, Any]:
    """Encode the prompts of all classes and of made-up words, or say why not.

    Returns:
        {"prompts": (C, D), "null": (words, D)}, float32, or {"untold": text}.
    """
    if contents.text is None:
        return {"untold": NO_TEXT}
    if not params.templates:
        return {"untold": "measure.accuracy.templates is empty"}
    words = [params.words.get(name, name.replace("_", " ")) for name in chosen.names]
    words += zeroshot.made_up_words()
    texts = [template.replace("{}", word) for word in words for template in params.templates]
    try:
        vectors = contents.text(texts)
    except NotImplementedError:
        return {"untold": NO_TEXT}
    except ConfigError as error:  # pictures were embedded without it: no reason to stop
        return {"untold": f"the text tower cannot be loaded: {error}"}
    check_vectors(vectors)
    each = zeroshot.ensemble(vectors.reshape(len(words), len(params.templates), -1))
    classes = len(chosen.names)
    return {
        "prompts": each[:classes].astype(np.float32),
        "null": each[classes:].astype(np.float32),
    }


def compute(inputs: Inputs, unit: Unit, params: AccuracyParams) -> Result:
    """Train on one fold's clean vectors and classify what it tests, at every level.

    Returns:
        "<method>", (V, M) int32 predicted classes of the M tested contents, for each method;
        "zero_shot_low", (V, M) bool, whether made-up words fit as well as the best class;
        "shuffled_<method>", (S, M) int32, clean, after training on labels shuffled S times;
        "strength" and "converged" of the probe; "untold", why there is no zero-shot, or "".
    """
    asked = unit.arguments
    for vectors in inputs.vectors.values():
        check_vectors(vectors)
    label = np.searchsorted(asked["classes"], inputs.label)
    test = [inputs.vectors[v][asked["test"]] for v in unit.variants]
    result: dict[str, NDArray[Any]] = {"untold": np.array(str(asked.get("untold", "")))}
    with repeats.one_thread():
        if "prompts" in asked:
            ranked = [zeroshot.rank(x, asked["prompts"], asked["null"]) for x in test]
            result["zero_shot"] = _stack(one.best for one in ranked)
            result["zero_shot_low"] = np.stack([one.low for one in ranked])
        if asked["train"].any() and asked["test"].any():
            result |= _trained(inputs, label, asked, test, params)
    return result


def _trained(
    inputs: Inputs,
    label: NDArray[np.int64],
    asked: Mapping[str, Any],
    test: list[NDArray[np.float32]],
    params: AccuracyParams,
) -> dict[str, NDArray[Any]]:
    """Train both classifiers, on the labels and on shuffled ones."""
    train, known = inputs.vectors[CLEAN][asked["train"]], label[asked["train"]]
    held = asked["held"][asked["train"]]
    strength = classifiers.choose_strength(train, known, held, params.strengths)
    probe = classifiers.fit_probe(train, known, strength)
    generator = seeds.generator(inputs.seed, "shuffled")
    shuffled = [generator.permutation(known) for _ in range(params.shuffles)]
    controls = [classifiers.fit_probe(train, labels, strength) for labels in shuffled]
    clean = test[0]
    return {
        "centroid": _stack(classifiers.nearest_centroid(train, known, x) for x in test),
        "probe": _stack(probe.predict(x) for x in test),
        "shuffled_centroid": _stack(
            classifiers.nearest_centroid(train, labels, clean) for labels in shuffled
        ),
        "shuffled_probe": _stack(control.predict(clean) for control in controls),
        "strength": np.array(strength),
        "converged": np.array(probe.converged),
    }


def _stack(predicted: Any) -> NDArray[np.int32]:
    return np.stack(list(predicted)).astype(np.int32)


def combine(contents: Contents, results: Results, params: AccuracyParams) -> Finding:
    """Join the folds, so that every tested content counts once."""
    chosen = choose(contents, params)
    variants = variants_of(contents, params)
    if len(chosen.names) < 2:
        why = f"two classes of {params.min_class} contents are needed, got {len(chosen.names)}"
        return accuracy_finding.unanswerable(why, variants, chosen.notes)
    found = [results[fold.key] for fold in chosen.folds]
    summary = Summary.of(chosen, variants, found, contents.seed, params.bootstraps)
    if isinstance(summary, str):
        return accuracy_finding.unanswerable(summary, variants, chosen.notes)
    return accuracy_finding.tell(summary, chosen, found, contents)


def cost(size: Size, params: AccuracyParams) -> Cost:
    """Tell what fitting the probes takes: 1.5e-8 s a number and class, thrice that when shuffled.

    Timed on one core with 1,115 contents of 1,280 numbers in 14 classes; the rest is little.
    """
    rows = min(size.contents, params.sample)
    folds = 1 if params.train else params.folds
    fits = 0.8 * len(params.strengths) + 1 + 3 * params.shuffles
    seconds = folds * fits * 1.5e-8 * rows * size.dim * size.classes
    return Cost(needed(rows, 1 + size.noisy), seconds)


ANALYSIS: Final = Analysis(
    name="accuracy",
    version=2,
    params=AccuracyParams,
    plan=plan,
    compute=compute,
    combine=combine,
    needs_labels=True,
    reads_labels=True,
    reads_text=True,
    names_positions=False,
    needs=("duplicates",),
    cost=cost,
)
