#!/bin/bash
# Runs a test with our thread sanitizer suppressions: the sanitizer wants a path, which only the runfiles tell.
suppressions=$(dirname "$0")/tsan_suppressions.txt
TSAN_OPTIONS="suppressions=$suppressions ${TSAN_OPTIONS:-}" exec "$@"
