"""Predictions for many records: the pace, the calls, and what is read and written around them."""
