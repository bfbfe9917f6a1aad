"""What is asked of the history, one file a noun. Each function takes a connection of `Store.reading`."""
