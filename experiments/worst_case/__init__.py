"""The worst case: how many agents that game meet each further condition, up to a takeover."""
