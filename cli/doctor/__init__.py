"""shm-matte doctor: whether all that the program stands on works here.

`command` prints what the other modules find: `parts` what is installed, `machine` what it runs on,
`network` device and weights, `formats` every format for real, on the second that `sample` draws.
"""
