"""Whether a source will make a good corpus, before it is built and after: verdicts with reasons and what to do next."""
