"""A corpus on disk: the ledger and its tables, looking at them, and keeping them whole."""
