"""Image collections in; versioned CLIP embeddings and an honest audit out.

Reading order: ``errors``, ``config``, ``schema``, then the verbs as the data meets them:
``collect`` → ``embed`` → ``index`` → ``measure`` → ``report``; ``runtime`` runs them on Ray.
"""

__version__ = "0.1.0"
