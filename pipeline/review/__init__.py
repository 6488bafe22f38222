"""`corpus review`: a page on which people correct events, and the server behind it."""
