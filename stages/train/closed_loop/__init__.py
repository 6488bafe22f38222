"""`make eval`: the baselines trained on a release, tried in the simulator, and a page of what came of it."""
