"""Where executions are recorded: MLflow, or nowhere."""
