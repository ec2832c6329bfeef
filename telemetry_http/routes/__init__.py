"""The handlers, one module for each noun."""
