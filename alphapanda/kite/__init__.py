"""What Kite puts on the wire, for both of its ends: the venue that reads it, the exchange that writes it."""
