#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run-case.sh FILE NAME: one case, in this process. WORK and CASE_DIR come from test.sh; alone, a new directory is used.
# shellcheck source=case.sh
source "$(dirname "${BASH_SOURCE[0]}")/case.sh"
# shellcheck source=/dev/null # the cases
source "$1"
CASE_NAME=$(basename "$1" .sh)
CASE_NAME=${CASE_NAME#*-}/$2
trap 'case_end $?' EXIT
"case_$2"
