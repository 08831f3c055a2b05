"""Evaluation reports: how a model's predictions compare with the true labels, as a page and as JSON."""
