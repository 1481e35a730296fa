"""Video services over HTTP: a job is submitted, polled and downloaded."""
