#!/usr/bin/python3
"""Holds models/examples, and train --data, to scikit-learn on two real tables of Debian's python3-vega-datasets, fold by fold:

  bazel build //models/...
  tests/models/scikit_learn_tables.py

Five folds, every fifth row being held out; the same layers, optimiser, scaling, batches and epochs; needs
python3-sklearn too. Printed on 2026-11-29 with scikit-learn 1.2.1:

  weather: accuracy 0.6564, train --data 0.6530, scikit-learn 0.6509
  cars: r2 0.7697, train --data 0.7663, scikit-learn 0.7568
  cars, linear: rmse within 1.1e-06 of least squares

The third figure is relative, to NumPy's least-squares solution.
"""

import csv
import json
import os
import shutil
import subprocess
import tempfile
import warnings

import numpy as np
import vega_datasets
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'bazel-bin', 'models')
PROGRAMS = os.path.join(MODELS, 'examples')
DATA = os.path.join(os.path.dirname(vega_datasets.__file__), '_data')
FOLDS = 5
NUMBERS = ['Cylinders', 'Displacement', 'Horsepower', 'Weight_in_lbs', 'Acceleration']


def folds(rows):
    for fold in range(FOLDS):
        yield ([row for i, row in enumerate(rows) if i % FOLDS != fold],
               [row for i, row in enumerate(rows) if i % FOLDS == fold])


def numbers(command):
    """The numbers that a program prints."""
    printed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
    return [float(word) for word in printed.replace(',', ' ').split() if word[0] in '-0123456789']


def write(work, train, test):
    """The two lists of rows as CSV files; their paths."""
    paths = []
    for name, rows in ('train', train), ('test', test):
        paths.append(os.path.join(work, name + '.csv'))
        with open(paths[-1], 'w', newline='') as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    return paths


def ours(program, work, train, test, *arguments):
    """The numbers that an example prints of the two lists of rows."""
    return numbers([os.path.join(PROGRAMS, program), *write(work, train, test), *arguments])


def by_flags(work, train, test, target, units, batch, epochs, seed):
    """The numbers that evaluate prints of the test rows and the model that train made of the others."""
    paths = write(work, train, test)
    run = os.path.join(work, 'run')
    shutil.rmtree(run, ignore_errors=True)
    subprocess.run([os.path.join(MODELS, 'train'), '--data=' + paths[0], '--target=' + target, '--test=0',
                    f'--layers={units}', f'--batch_size={batch}', f'--epochs={epochs}', f'--seed={seed}',
                    '--nohtml_report', '--run_dir=' + run], stdout=subprocess.DEVNULL, check=True)
    return numbers([os.path.join(MODELS, 'evaluate'), '--model=' + run, '--data=' + paths[1]])


def network(kind, units, batch, epochs, seed):
    return kind((units,), alpha=0, batch_size=batch, learning_rate_init=1e-3, max_iter=epochs, tol=0,
                n_iter_no_change=epochs, random_state=seed)


def weather(work):
    with open(os.path.join(DATA, 'seattle-weather.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    names = ['precipitation', 'temp_max', 'temp_min', 'wind']
    found, flags, theirs = [], [], []
    for seed, (train, test) in enumerate(folds(rows)):
        flags.append(by_flags(work, train, test, 'weather', 64, 64, 100, seed)[0])
        found.append(ours('table_classifier', work, train, test, 'weather', str(seed))[0])
        x = [np.array([[float(row[name]) for name in names] for row in part]) for part in (train, test)]
        y = [[row['weather'] for row in part] for part in (train, test)]
        scale = StandardScaler().fit(x[0])
        model = network(MLPClassifier, 64, 64, 100, seed).fit(scale.transform(x[0]), y[0])
        theirs.append(model.score(scale.transform(x[1]), y[1]))
    print(f'weather: accuracy {np.mean(found):.4f}, train --data {np.mean(flags):.4f}, '
          f'scikit-learn {np.mean(theirs):.4f}')


def cars(work):
    with open(os.path.join(DATA, 'cars.json')) as file:
        rows = [row for row in json.load(file) if row['Miles_per_Gallon'] is not None]
    rows = [{name: row[name] for name in [*NUMBERS, 'Origin', 'Miles_per_Gallon']} for row in rows]
    origins = sorted({row['Origin'] for row in rows})
    found, flags, theirs, errors = [], [], [], []
    for seed, (train, test) in enumerate(folds(rows)):
        flags.append(by_flags(work, train, test, 'Miles_per_Gallon', 32, 32, 200, seed)[2])
        found.append(ours('table_regression', work, train, test, 'Miles_per_Gallon', '32')[1])
        rmse = ours('table_regression', work, train, test, 'Miles_per_Gallon')[0]

        x = [np.array([[row[name] for name in NUMBERS] for row in part], dtype=float) for part in (train, test)]
        fill = np.nanmean(x[0], axis=0)
        x = [np.where(np.isnan(part), fill, part) for part in x]
        scale = StandardScaler().fit(x[0])
        places = [np.array([[row['Origin'] == origin for origin in origins] for row in part], dtype=float)
                  for part in (train, test)]
        x = [np.hstack([scale.transform(part), place]) for part, place in zip(x, places)]
        y = [np.array([row['Miles_per_Gallon'] for row in part]) for part in (train, test)]
        mean, unit = y[0].mean(), y[0].std()
        model = network(MLPRegressor, 32, 32, 200, seed).fit(x[0], (y[0] - mean) / unit)
        theirs.append(model.score(x[1], (y[1] - mean) / unit))
        with_one = [np.hstack([part, np.ones((len(part), 1))]) for part in x]
        solution = np.linalg.lstsq(with_one[0], y[0], rcond=None)[0]
        expected = np.sqrt(np.mean((with_one[1] @ solution - y[1])**2))
        errors.append(abs(rmse - expected) / expected)
    print(f'cars: r2 {np.mean(found):.4f}, train --data {np.mean(flags):.4f}, scikit-learn {np.mean(theirs):.4f}')
    print(f'cars, linear: rmse within {max(errors):.1e} of least squares')


if __name__ == '__main__':
    warnings.filterwarnings('ignore')  # That all epochs were made.
    with tempfile.TemporaryDirectory() as folder:
        weather(folder)
        cars(folder)
