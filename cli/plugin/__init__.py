"""Plug-ins for Blender and GIMP: packed, and put where these look for them; imports none of it."""
