"""The report: the post claim by claim, as one HTML page that needs nothing but itself."""
