"""The only part of the exchange with sockets, tasks and a clock of the wall: REST, ticker and admin door."""
