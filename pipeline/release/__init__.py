"""A release: which events go into its shards, and the files that describe them."""
