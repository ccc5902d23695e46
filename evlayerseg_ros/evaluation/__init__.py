"""Scores of a pipeline where the truth is known: truth, measures, tables, report."""
