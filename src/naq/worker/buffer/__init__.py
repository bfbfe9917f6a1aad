"""What a worker tells the log beside final records, on its way there: held in bounds, spilled, written."""
