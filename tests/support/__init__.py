"""Scaffolding shared by tests: fake servers, tiny models, fuzzers, scripted agents."""
