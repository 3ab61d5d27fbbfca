# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The stories of the unit tests (a DRAConfiguration, a hosted control plane, a ConfigSource, from apply to the end), at full length.
# needs: drawbridge
# run: by name

# case: each single request fails, is answered with a lie, or is the controller's last, instead of a choice of them that is done in a minute
# timeout: 10800
case_each_request() {
  local story
  for story in torture hosted source; do
    DRAWBRIDGE_TORTURE_ALL=1 DRAWBRIDGE_TEST_TIMEOUT=3600 "${DRAWBRIDGE%/*}/operator/controller/test_controller_$story" || return 1
  done
}
