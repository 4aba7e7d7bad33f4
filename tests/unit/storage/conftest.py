from tests.stores import bucket, moto_port

__all__ = ["bucket", "moto_port"]
