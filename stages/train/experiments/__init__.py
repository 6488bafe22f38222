"""What the report leaves open, tried on state observations: events against chunks, balance against recorded shares.

Each experiment is one module and one command, which goes on where it was stopped and may run on several machines:
rows of results are lines of JSON. `docs/experiments.md` has what came of them.
"""
