"""What would an audit cost, does it fit, and was the forecast right? Arithmetic; no engine."""
