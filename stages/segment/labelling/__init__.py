"""What is done in a span: primitives, arms, what is held, and levels that agree."""
