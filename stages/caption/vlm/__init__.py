"""What a vision-language model is asked about an event, and what is made of its answer; which model it is, is a matter
of `stages/caption/backends/`."""
