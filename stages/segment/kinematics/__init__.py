"""What the arms and hands do: paths, speeds, openings on one grid; when hands close and open."""
