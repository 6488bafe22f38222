"""What a dataset without a profile is: told from names, units and physics, each with its evidence and how sure it
is."""
