"""Train, check and deploy the trip duration model, step by step in this process.

Lesson: a pipeline is an object.  Step through it, look at what a step made, or subclass it:

    pipeline = DurationPipeline(year=2021, month=1)
    pipeline.transform()
    pipeline["trips_2021_01"].head()
"""

from scripts import run_script

from baton.stepwise import StepwisePipeline


class DurationPipeline(StepwisePipeline):
    """The duration pipeline; each method runs what it needs that has not run yet."""

    steps = ("extract", "transform", "features", "train", "validate", "deploy")

    def extract(self) -> None:
        self.step("extract")

    def transform(self) -> None:
        self.step("transform")

    def features(self) -> None:
        self.step("features")

    def train(self) -> None:
        self.step("train")

    def validate(self) -> None:
        self.step("validate")

    def deploy(self) -> None:
        self.step("deploy")


if __name__ == "__main__":
    run_script(__doc__, lambda asked: DurationPipeline(asked.project, report=asked.report).run())
