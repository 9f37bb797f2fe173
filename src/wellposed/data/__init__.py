"""Reading, writing and making data; named tasks."""
