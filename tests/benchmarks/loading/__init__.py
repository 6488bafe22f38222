"""How quick the loader is, beside bare decoding and beside LeRobotDataset on the same episodes."""
