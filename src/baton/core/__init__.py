"""What a pipeline is: tasks, DAGs, parameters, artifacts, and the one function that runs a task."""
