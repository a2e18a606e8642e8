"""NYC green-taxi trip duration: the model, and the pipeline that trains it."""
