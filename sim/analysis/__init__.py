"""Methods of analysis for any run or sweep."""
