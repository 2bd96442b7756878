"""Benchmarks of memory: recall quality and speed, answerability, facts that change, compaction,
fault injection; the LoCoMo data set.
"""
