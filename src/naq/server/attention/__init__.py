"""What needs a person now: of what broker and history say, the lines of the first page."""
