"""How the projections are fitted: WordNet, kriging of classifier rows, and a small network."""
