"""What keeps the pipelines that the config asks for."""
