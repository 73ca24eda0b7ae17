"""Blobstore: objects in containers, on local files or S3."""
