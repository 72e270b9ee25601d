"""The doors to the market."""
