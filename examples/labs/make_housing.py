"""Writes data/housing.csv: made-up houses whose price follows from what they are, with some noise."""

import csv
import os
import random

HOUSES = 600
COLUMNS = ["rooms", "age", "distance", "crime", "tax", "price"]


def house(chance):
    rooms = round(chance.gauss(6.2, 0.8), 2)
    age = round(chance.uniform(0, 100), 1)
    distance = round(chance.expovariate(1 / 4) + 1, 2)
    crime = round(chance.expovariate(1 / 3), 3)
    tax = chance.randrange(190, 700)
    price = 6.5 * rooms - 0.05 * age - 0.6 * distance - 0.7 * crime - 0.012 * tax - 3
    return [rooms, age, distance, crime, tax, round(price + chance.gauss(0, 2), 2)]


if __name__ == "__main__":
    chance = random.Random(4)
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
    with open(os.path.join(folder, "housing.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(house(chance) for _ in range(HOUSES))
