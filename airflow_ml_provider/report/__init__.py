"""Evaluation reports: how a model's predictions compare with the truth, as a page and as JSON."""
