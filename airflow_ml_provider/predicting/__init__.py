"""Send many records to one realtime endpoint, at the rate that it allows."""
