"""The features by which options are scored, and which of them make a method.

A feature is one number per option, computed without looking at the other options:

- ``cosine``: cosine similarity of ``about`` and the option's first line;
- ``parts``: the mean of that, of the similarity to the line's head ("name" in "name: what it
  does"), and of the similarity to the most similar of its sentences;
- ``channel``: the fraction by which the option lowers the surprisal of ``about``,
  (log p(about | option) - log p(about)) / -log p(about). It ranks options as the
  length-normalised log p(about | option) does (noisy channel: Min et al. 2022, "Noisy Channel
  Language Model Prompting"); as a fraction it can be compared between asks too;
- ``direct``: mean log p(token of the option's name | messages);
- ``pmi``: mean log p(token of the name | messages) - log p(token | an empty message), without
  the unconditional prior (Holtzman et al. 2021, "Surface Form Competition");
- ``whole``: log p(the name and the end of the reply | messages). It is the only feature of asks
  with the role ``value``, with weight 1.
"""

from __future__ import annotations

FEATURE_COSTS = {"cosine": 1, "parts": 2, "direct": 20, "pmi": 21, "channel": 30}
"""Approximate cost of a feature, in texts that the embedder encodes."""

FEATURES = ("cosine", "parts", "direct", "pmi", "channel")
FUSED_FEATURES = (
    "cosine+channel",
    "parts+channel",
    "cosine+pmi",
    "parts+pmi",
    "cosine+pmi+channel",
    "parts+pmi+channel",
)
METHOD_NAMES = FEATURES + FUSED_FEATURES
LM_FEATURES = ("channel", "direct", "pmi", "whole")
