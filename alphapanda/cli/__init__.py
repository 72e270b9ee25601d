"""The command: parse, call, print. One file a command; whatever is heavy is imported inside the function."""
