"""How files are named and stored: formats, editors, numbered pictures, addresses; opens none."""
