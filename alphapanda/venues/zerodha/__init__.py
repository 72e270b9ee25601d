"""Zerodha by Kite Connect: the live feed and the live broker, and all that they share of one account.

Everything here runs unchanged against Kite and against the exchange on localhost; only the roots differ.
"""
