"""Predict for files of records in S3 at a realtime endpoint, with one worker or many."""
