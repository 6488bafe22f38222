"""The loop closed: what decisions teach the queue (`learning`), what known answers say of people (`gold`)."""
