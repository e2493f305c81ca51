"""What a model of one image is used for; one file a task."""
