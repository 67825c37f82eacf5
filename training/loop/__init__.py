"""The training loop: phases, losses, state, several processes, reports."""
