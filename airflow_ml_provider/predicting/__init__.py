"""Many records at one realtime endpoint: the pace, the calls, and what sends them."""
