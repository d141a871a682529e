"""sseproxy: server-side encryption for any S3-compatible object store, as a proxy."""

__version__ = "0.1.0"
