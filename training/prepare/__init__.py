"""Raw folders -> one manifest, with trimaps, solved alphas and sheets to look at.

Pictures flow from `layouts` through `pictures` (in the processes of `pool`) to `run`.
"""
