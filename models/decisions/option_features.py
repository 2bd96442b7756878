"""The numbers by which options are scored, and which of them make a method.

A signal is one number an option, scored apart from the other options:

- ``cosine``: nearness of ``about`` to the option's first line, by the embedder;
- ``parts``: the mean of that, of the nearness to the line's head ("name" of "name: what it
  does") and of the nearness to the nearest of its sentences;
- ``channel``: the share of the surprise at ``about`` that the option takes away,
  (log p(about | option) - log p(about)) / -log p(about). Within an ask it ranks options as the
  length-normalised log p(about | option) does (noisy channel: Min et al. 2022, "Noisy Channel
  Language Model Prompting"); being a share, it can be compared between asks too;
- ``direct``: mean log p(token of the option's name | messages);
- ``pmi``: mean log p(token of the name | messages) - log p(token | an empty message), the
  unconditional prior taken off (Holtzman et al. 2021, "Surface Form Competition");
- ``whole``: log p(the name and the end of the reply | messages): how likely just that is the
  reply. Of asks with the role ``value`` it is the one signal, as it is.
"""

from __future__ import annotations

FEATURE_COSTS = {"cosine": 1, "parts": 2, "direct": 20, "pmi": 21, "channel": 30}
"""About what a signal costs, in texts that the embedder encodes."""

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
