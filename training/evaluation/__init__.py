"""How wrong mattes are: metrics, sets of pictures and clips, tables and sheets."""
