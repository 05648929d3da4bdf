"""Neural networks: one file each, torch and numpy only."""
