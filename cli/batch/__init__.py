"""Whole folders: what is to be done is found, shared out to workers and accounted for; knows no
picture and no codec."""
