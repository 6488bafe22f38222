"""Video reading and writing, shared by observe, embed and shard: probe, decode once, encode proxies, cut clips."""
