"""A build: survey the sources, plan what is missing, run it in workers, show how it goes."""
