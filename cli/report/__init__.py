"""The quality report of a matted clip: measured frame by frame while it is made, told as one page.

Knows no codec, no network and no option of a command. `measures` needs OpenCV and is imported where
it is used; the other modules are light.
"""
