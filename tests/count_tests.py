"""Prints "N passed, N failed" for one run of `bazel test`; exits 0 only if some test ran and none failed.

Usage: count_tests.py BUILD_EVENTS_JSON BAZEL_EXIT_STATUS [NAME passed|failed]

NAME is a check that was made outside of Bazel, and counts as a test case.
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


def main():
  events, status = read_events(sys.argv[1]), int(sys.argv[2])
  runs = {}  # (label, run, shard) -> its last attempt's testResult
  tests = set()
  unbuilt = set()
  for event in events:
    event_id = event.get('id', {})
    if 'testResult' in event_id and 'testResult' in event:
      test = event_id['testResult']
      runs[test['label'], test.get('run', 1), test.get('shard', 1)] = event['testResult']
    elif 'testSummary' in event_id and 'testSummary' in event:
      tests.add(event_id['testSummary']['label'])
    elif 'targetCompleted' in event_id and not event.get('completed', {}).get('success'):
      unbuilt.add(event_id['targetCompleted']['label'])

  passed = failed = skipped = 0
  culprits = set()
  for (label, _, _), result in runs.items():
    xml_uris = [f['uri'] for f in result.get('testActionOutput', []) if f['name'] == 'test.xml']
    run_passed = run_failed = 0
    for uri in xml_uris:
      counts = count_cases(urllib.parse.unquote(urllib.parse.urlparse(uri).path))
      run_passed += counts[0]
      run_failed += counts[1]
      skipped += counts[2]
    # A crash, a timeout or a sanitizer's report at exit may leave an xml that knows of no failure.
    if result['status'] not in ('PASSED', 'FLAKY') and run_failed == 0:
      run_failed = 1
    if run_failed:
      culprits.add(label)
    passed += run_passed
    failed += run_failed

  if len(sys.argv) == 5:
    if sys.argv[4] == 'passed':
      passed += 1
    else:
      failed += 1
      culprits.add(sys.argv[3])

  for label in sorted(culprits):
    print(f'failed: {label}')
  ran = {label for label, _, _ in runs}
  for label in sorted((unbuilt | tests) - ran):
    print(f'failed to build: {label}')
    failed += 1
  no_tests_found = 4
  if status not in (0, no_tests_found) and failed == 0:  # say, a BUILD file with an error
    print('failed: bazel itself, see above')
    failed = 1

  if skipped:
    print(f'{skipped} skipped')
  print(f'{passed} passed, {failed} failed')
  return 0 if passed and not failed else 1


if __name__ == '__main__':
  sys.exit(main())
