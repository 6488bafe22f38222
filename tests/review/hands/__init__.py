"""What people review with: the mouse alone, fingers alone, keys of their own choice."""
