"""Runs the main entry point for several values of alpha, each a child of this run."""

import argparse

import mlflow


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--trials", type=int, default=3)
    options = parser.parse_args()

    with mlflow.start_run():
        for trial in range(options.trials):
            alpha = 0.01 * 4**trial
            mlflow.projects.run(
                ".",
                parameters={"data": options.data, "alpha": alpha},
                env_manager="local",
                run_name=f"alpha {alpha:g}",
            )


if __name__ == "__main__":
    main()
