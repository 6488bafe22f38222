"""Many events: a corpus of them, what is served while it is read, how quick the page is on it."""
