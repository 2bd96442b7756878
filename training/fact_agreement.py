"""How well sentences about a person agree with the facts that the person told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..planners.text import content_terms

# Least share of content words (Dice coefficient) of two sentences that tell the same fact.
SAME_FACT = 0.5


def matched_facts(predicted: Sequence[str], gold: Sequence[str], names: Sequence[str] = ()) -> int:
    """How many of the ``predicted`` sentences tell a fact of ``gold``, each fact counted once.

    Two sentences tell the same fact if the Dice coefficient of the stems of their content words,
    without ``names``, is at least ``SAME_FACT``; pairs are taken greedily, the most alike first.

    >>> matched_facts(["Bo likes rye.", "Bo has a cat."], ["Bo Lind loves rye bread."], ["Bo Lind"])
    1
    """
    ignored = content_terms(" ".join(names))
    terms = [content_terms(text) - ignored for text in predicted]
    gold_terms = [content_terms(text) - ignored for text in gold]
    pairs = [
        (2 * len(one & other) / (len(one) + len(other)), i, j)
        for i, one in enumerate(terms)
        for j, other in enumerate(gold_terms)
        if one and other
    ]
    used, found = set[int](), set[int]()
    for alike, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        if alike >= SAME_FACT and i not in used and j not in found:
            used.add(i)
            found.add(j)
    return len(found)


def learned_f1(
    items: Iterable[tuple[Sequence[str], Sequence[str]]], names: Sequence[str] = ()
) -> float:
    """F1 of what was learned in several conversations: ``items`` are pairs of the predicted
    sentences and the facts that were told. Micro-average: counts are summed over all items. 1.0 if
    nothing was told and nothing predicted.

    >>> told = ["Bo Lind loves rye bread.", "Bo Lind has a dog."]
    >>> round(learned_f1([(["Bo likes rye bread."], told), ([], [])], ["Bo Lind"]), 2)
    0.67
    """
    matched = predicted = gold = 0
    for sentences, facts in items:
        matched += matched_facts(sentences, facts, names)
        predicted += len(sentences)
        gold += len(facts)
    return 2 * matched / (predicted + gold) if predicted + gold else 1.0
