"""Recall: rules, candidates, scoring (recency, importance, relevance; hybrid BM25 and dense),
batched recall, re-ranking, episode search, answerability.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
