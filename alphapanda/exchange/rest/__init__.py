"""Kite's REST interface: the routes, what each of them answers, and the gateway before them."""
