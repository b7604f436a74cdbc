"""What the jobs of these tests run: it reads its channel, prints a metric and leaves a model."""

import argparse
import os
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--behaviour", default="train")
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    arguments, _ = parser.parse_known_args()

    if arguments.behaviour == "fail":
        raise ValueError("the column price is missing")
    if arguments.behaviour == "sleep":
        time.sleep(600)
    if arguments.behaviour == "resume":
        resume()

    names = sorted(os.listdir(arguments.train))
    rows = sum(len(open(os.path.join(arguments.train, name)).readlines()) for name in names)
    print("read {} rows of {}".format(rows, names))
    for epoch in range(arguments.epochs):
        print("epoch {}: loss={:.3f};".format(epoch, arguments.rate / (epoch + 1)))
    with open(os.path.join(arguments.model_dir, "model.txt"), "w") as model:
        model.write("rows={} rate={}".format(rows, arguments.rate))


def resume():
    """Goes on where an interrupted attempt left off, and waits to be interrupted the first time."""
    checkpoint = "/opt/ml/checkpoints/epoch.txt"
    if os.path.exists(checkpoint):
        print("resumed after " + open(checkpoint).read())
        return
    with open(checkpoint, "w") as file:
        file.write("epoch 7")
    time.sleep(600)


if __name__ == "__main__":
    main()
