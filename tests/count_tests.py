"""Prints "N passed, N failed" for runs of `bazel test`; exits 0 only if tests ran in each and none failed.

Usage: count_tests.py (BUILD_EVENTS_JSON=BAZEL_EXIT_STATUS | NAME=passed | NAME=failed | NAME=skipped)...

NAME is a check that was made, or not, outside of Bazel, and counts as a test case.
"""

import json
import os
import sys
import urllib.parse
import xml.etree.ElementTree as xml


def read_events(path):
  """The build events, one JSON object a line; none if Bazel did not get as far as writing them."""
  if not os.path.exists(path):
    return []
  events = []
  with open(path, encoding='utf-8') as lines:
    for line in lines:
      try:
        events.append(json.loads(line))
      except ValueError:  # Bazel was killed while writing it.
        break
  return events


def count_cases(path):
  """Passed, failed and skipped test cases in one test.xml; a missing or broken one has none."""
  passed = failed = skipped = 0
  try:
    cases = list(xml.parse(path).iter('testcase'))
  except (OSError, xml.ParseError):
    return 0, 0, 0
  for case in cases:
    if case.find('failure') is not None or case.find('error') is not None:
      failed += 1
    elif case.get('status') == 'notrun':  # DISABLED_, filtered out, or another shard's
      pass
    elif case.get('result') == 'skipped':
      skipped += 1
    else:
      passed += 1
  return passed, failed, skipped


class Count:
  """What ran, and what of it did not go well: a line each."""

  def __init__(self):
    self.passed = self.failed = self.skipped = 0
    self.culprits = []

  def add_check(self, name, outcome):
    if outcome == 'passed':
      self.passed += 1
    elif outcome == 'skipped':
      self.skipped += 1
    else:
      self.failed += 1
      self.culprits.append(f'failed: {name}')

  def add_run(self, path, status):
    """Adds the tests of one `bazel test`, with its build events and its exit status."""
    runs = {}  # (label, run, shard) -> its last attempt's testResult
    tests = set()
    unbuilt = set()
    for event in read_events(path):
      event_id = event.get('id', {})
      if 'testResult' in event_id and 'testResult' in event:
        test = event_id['testResult']
        runs[test['label'], test.get('run', 1), test.get('shard', 1)] = event['testResult']
      elif 'testSummary' in event_id and 'testSummary' in event:
        tests.add(event_id['testSummary']['label'])
      elif 'targetCompleted' in event_id and not event.get('completed', {}).get('success'):
        unbuilt.add(event_id['targetCompleted']['label'])

    name = os.path.basename(path)
    before = self.passed + self.failed
    failed_before = self.failed
    culprits = set()
    for (label, _, _), result in runs.items():
      xml_uris = [f['uri'] for f in result.get('testActionOutput', []) if f['name'] == 'test.xml']
      failed = 0
      for uri in xml_uris:
        counts = count_cases(urllib.parse.unquote(urllib.parse.urlparse(uri).path))
        self.passed += counts[0]
        failed += counts[1]
        self.skipped += counts[2]
      # A crash, a timeout or a sanitizer's report at exit may leave an xml that knows of no failure.
      if result['status'] not in ('PASSED', 'FLAKY') and failed == 0:
        failed = 1
      if failed:
        culprits.add(label)
      self.failed += failed

    self.culprits += [f'failed ({name}): {label}' for label in sorted(culprits)]
    ran = {label for label, _, _ in runs}
    for label in sorted((unbuilt | tests) - ran):
      self.culprits.append(f'failed to build ({name}): {label}')
      self.failed += 1
    no_tests_found = 4
    if status not in (0, no_tests_found) and self.failed == failed_before:  # say, a BUILD file with an error
      self.add_check(f'bazel itself ({name}), see above', 'failed')
    elif self.passed + self.failed == before:
      self.add_check(f'{name}: no test ran', 'failed')


def main():
  count = Count()
  for argument in sys.argv[1:]:
    name, outcome = argument.rsplit('=', 1)
    if outcome in ('passed', 'failed', 'skipped'):
      count.add_check(name, outcome)
    else:
      count.add_run(name, int(outcome))
  for culprit in count.culprits:
    print(culprit)
  if count.skipped:
    print(f'{count.skipped} skipped')
  print(f'{count.passed} passed, {count.failed} failed')
  return 0 if count.passed and not count.failed else 1


if __name__ == '__main__':
  sys.exit(main())
