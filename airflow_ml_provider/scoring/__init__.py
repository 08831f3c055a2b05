"""Files of records in S3: read, predicted at a realtime endpoint, and written, by one worker or many."""
