"""What people's decisions say of an episode, and what each does to its spans. Pure: no clock, no file, no server."""
