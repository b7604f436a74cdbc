"""Fits an elastic net to data.csv and logs what came of it to the run it is in."""

import argparse

import mlflow
import pandas
from sklearn.linear_model import ElasticNet
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import train_test_split


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--l1-ratio", type=float, default=0.1)
    options = parser.parse_args()

    rows = pandas.read_csv(options.data)
    train, test = train_test_split(rows, random_state=7)
    inputs = [name for name in rows.columns if name != "quality"]

    with mlflow.start_run():
        model = ElasticNet(alpha=options.alpha, l1_ratio=options.l1_ratio, random_state=7)
        model.fit(train[inputs], train["quality"])
        predicted = model.predict(test[inputs])
        rmse = mean_squared_error(test["quality"], predicted) ** 0.5
        mlflow.log_metric("rmse", rmse)
        mlflow.log_metric("r2", r2_score(test["quality"], predicted))
        mlflow.sklearn.log_model(
            model,
            name="model",
            input_example=test[inputs].head(2).astype(float),
            pip_requirements="requirements.txt",
        )
        mlflow.log_text(repr(dict(zip(inputs, model.coef_))), "notes/coefficients.txt")
        print(f"alpha={options.alpha} l1_ratio={options.l1_ratio} rmse={rmse:.4f}")


if __name__ == "__main__":
    main()
