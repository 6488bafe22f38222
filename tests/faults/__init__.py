"""Builds broken on purpose: killed, starved, locked out. `test_faults` is the fast form, `soak` the long one."""
