"""Events that we fetch: Kafka. Nothing of it is imported unless the config has ``kafka``."""
