"""Checks for a user's own tests: planner, tool and world contracts, information-flow checks,
replay of recorded thoughts, sample situations, adversarial and scripted models.
"""
