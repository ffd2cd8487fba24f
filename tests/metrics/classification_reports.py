"""Makes classification_reports.json: what scikit-learn prints of predictions.

Each case holds counts [label, predicted, samples], and the report that
sklearn.metrics.classification_report(y_true, y_pred, digits=digits) makes of
them, by lines. A C++ test makes its own report of the same counts, and compares
character for character. To make the file anew, which is needed only when a case
is added or changed:

  apt-get install --no-install-recommends python3-sklearn
  /usr/bin/python3 tests/metrics/classification_reports.py

The file was made with Debian 12's scikit-learn 1.2.1 and NumPy 1.24.2.
"""

import json
import pathlib
import random
import warnings

import numpy as np
from sklearn.metrics import classification_report

# Of scores that are 0 / 0.
warnings.simplefilter("ignore")


def report(counts, digits):
  labels, predicted, samples = np.array(counts).T
  return classification_report(
      np.repeat(labels, samples), np.repeat(predicted, samples), digits=digits)


def random_counts(rng, classes, most):
  """Some predictions of each class, more of them right than wrong."""
  counts = []
  for label in range(classes):
    for predicted in range(classes):
      n = rng.randint(0, most)
      if label == predicted:
        n = n * classes // 2 + 1
      if n > 0:
        counts.append([label, predicted, n])
  return counts


def main():
  rng = random.Random(0)
  ten = random_counts(rng, 10, 9)
  unseen = [c for c in random_counts(rng, 7, 9) if 3 not in c[:2]]
  many = [[c, rng.choice([c, c, rng.randrange(150)]), rng.randint(1, 9)]
          for c in range(150) for _ in range(3)]
  cases = [
      ("ten classes", 10, 2, ten),
      ("seventeen digits", 10, 17, ten),
      ("no digit", 10, 0, ten),
      ("a class is never predicted", 3, 2, [[0, 0, 5], [1, 0, 2], [2, 2, 4],
                                            [2, 0, 1]]),
      ("a class never occurs", 7, 2, unseen),
      ("a label is only predicted", 4, 2, [[0, 0, 3], [0, 3, 2], [1, 1, 4],
                                           [2, 2, 1]]),
      ("one class", 10, 2, [[7, 7, 12]]),
      ("one class, all wrong", 10, 2, [[7, 2, 12]]),
      ("all right", 3, 2, [[0, 0, 4], [1, 1, 1], [2, 2, 9]]),
      # 1/8, 3/8, 5/8, 7/8: halves of the last digit, and exact in binary.
      ("halves", 2, 2, [[0, 0, 1], [0, 1, 7], [1, 1, 5], [1, 0, 3]]),
      ("more halves", 2, 2, [[0, 0, 7], [0, 1, 1], [1, 1, 3], [1, 0, 5]]),
      ("large supports", 3, 2, [[0, 0, 5000000], [0, 1, 40000],
                                [1, 1, 123456], [2, 2, 999999], [2, 0, 1]]),
      ("one hundred and fifty classes", 150, 17, many),
      # An accuracy of 19 / 40. The double next to 0.475 is below it, but
      # scikit-learn prints the f1 of all samples together, 0.48.
      ("the last bit of accuracy", 2, 2, [[0, 0, 7], [0, 1, 9], [1, 1, 12],
                                          [1, 0, 12]]),
  ]
  texts = []
  for name, classes, digits, counts in cases:
    lines = report(counts, digits).split("\n")
    texts.append('{"name": %s, "classes": %d, "digits": %d,\n "counts": %s,\n'
                 ' "report": [\n  %s]}' %
                 (json.dumps(name), classes, digits, json.dumps(counts),
                  ",\n  ".join(json.dumps(line) for line in lines)))
  path = pathlib.Path(__file__).with_name("classification_reports.json")
  path.write_text("[\n" + ",\n".join(texts) + "\n]\n")


if __name__ == "__main__":
  main()
