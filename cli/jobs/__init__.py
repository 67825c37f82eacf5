"""One input, one output: what is to be done, doing it, and what is kept of it; knows no codec."""
