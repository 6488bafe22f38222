"""Of the review page: what the order of its queue is worth, and how quick it is over many events."""
