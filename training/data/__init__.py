"""Pictures with known alpha, and the samples that are made of them; knows no network."""
