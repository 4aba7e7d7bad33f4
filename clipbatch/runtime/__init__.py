"""The verbs on Ray: the only folder that imports it. The mathematics is elsewhere."""
