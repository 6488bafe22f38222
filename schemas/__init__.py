"""The tables of a corpus, one module a table, and `sample.py`, the contract of a sample in a shard. Imports nothing
else of the project; `sample.py` and `ids.py` need nothing but Python."""
