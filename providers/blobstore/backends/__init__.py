"""What can stand behind the blobstore: a module each."""
