"""Help for those who test code that uses naq, or a backend of their own."""
