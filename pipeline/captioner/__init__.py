"""Training of captioners: requests with the answers they should get, the network's training, and the sample's own."""
