"""Plug-ins for Blender, GIMP and Krita: packed, and put where these look for them; imports none of
it."""
