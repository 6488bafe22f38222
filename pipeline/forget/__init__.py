"""`corpus forget`: episodes deleted for good, on request (`run.forget`)."""
