"""Benchmarks as commands: each figure the docs state is what a function here returns."""
