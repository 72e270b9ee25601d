"""A Kite-compatible exchange on localhost: the counterpart against which the live path is proven.

It is a world of its own in one process: listed instruments and their prices, an account, orders and their
life, sessions, a fault script, and a history of everything seen and done. All of it but `serving` is plain
code without a clock or a socket: time comes in, answers and frames go out, so that the same requests at the
same exchange time give the same history.
"""
