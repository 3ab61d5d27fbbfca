# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# What drawbridge asked the API servers of a case for, beside what its roles allow. lib/rights.txt has a line for each single right of the chart, with a case
# that uses it. The API servers' audit logs say who asked for what and which role allowed it. At the end of each case
#   - nothing may have been asked for that no role allows, unless the case says so in RIGHTS_REFUSED (a regular expression of "WHO VERB RESOURCE NAMESPACE");
#   - each right whose line names the case must have been used.
# The case rights/of_the_chart compares the table with the roles. RIGHTS_OUT=DIR keeps what each case asked for: with it the table was written.

RIGHTS_TABLE=$E2E/lib/rights.txt
declare -A AUDIT_FROM=() # cluster → bytes of its log that are of earlier cases

rights_begin() { AUDIT_FROM[$CLUSTER]=$(stat -c %s "$CLUSTER/audit.json" 2>/dev/null || echo 0); }

# rights_keep CLUSTER: what this case asked for there; before another one may have the cluster. An API server makes its log with the first line.
rights_keep() {
  local from=${AUDIT_FROM[$1]:-} log=$1/audit.json tries=0
  [[ $from ]] || return 0
  unset "AUDIT_FROM[$1]"
  : >>"$CASE_DIR/audit.json" || return 1
  [[ -e $log || $from != 0 ]] || return 0
  if (($(stat -c %s "$log" 2>/dev/null || echo 0) < from)); then
    echo "$log is cut: it had $from bytes when the case began"
    return 1
  fi
  until [[ -z $(tail -c 1 "$log") ]]; do # a line may be on its way
    if ((tries++ == 20)); then
      echo "$log is cut: its last line is none"
      return 1
    fi
    nap 0.1
  done
  tail -c "+$((from + 1))" "$log" >>"$CASE_DIR/audit.json"
}

# rights_of_roles: a List of roles on stdin as lines "ROLE[@NAMESPACE] VERB RESOURCE NAME".
rights_of_roles() {
  jq -r '.items[] | select(.metadata.name | startswith("drawbridge-")) |
    ((.metadata.name | ltrimstr("drawbridge-")) + (.metadata.namespace | if . then "@" + . else "" end)) as $role | .rules[] | . as $rule |
    ([(.apiGroups // [])[] as $group | .resources[] | if $group == "" then . else $group + "/" + . end] + (.nonResourceURLs // []))[] as $what |
    .verbs[] as $verb | ($rule.resourceNames // ["*"])[] | "\($role) \($verb) \($what) \(.)"' | sort
}

# rights_words: each request of an audit log as "allow|forbid WHO|ROLE VERB RESOURCE NAME NAMESPACE". What any user may ask for is left out. A patch that makes
# an object (server-side apply) needs the right to create it too, and the log calls it a patch.
rights_words() {
  jq -r '(.objectRef // {}) as $ref | (.annotations // {}) as $notes |
    (if $ref.resource then ([$ref.apiGroup, $ref.resource, $ref.subresource] | map(select(. != null and . != "")) | join("/")) else (.requestURI | split("?")[0]) end) as $what |
    (.user.username | if endswith(":controller") then "controller" elif endswith(":drawbridge-helm") then "helm" else "agent" end) as $who |
    if .impersonatedUser then (.impersonatedUser.username | select(startswith("system:serviceaccount:")) | split(":") |
        "allow \($who)-as-\(.[3])@\(.[2]) impersonate serviceaccounts \(.[3]) \(.[2])")
    elif $notes["authorization.k8s.io/decision"] == "forbid" then
      "forbid \($who) \(.verb) \($what) \($ref.name // "-") \($ref.namespace // "-")"
    else ($notes["authorization.k8s.io/reason"] // "" | capture("RoleBinding \"[^\"/]+(/(?<namespace>[^\"]+))?\" of (Cluster)?Role \"drawbridge-(?<role>[^\"]+)\"")? // empty) as $by |
      "allow \($by.role)\(if $by.namespace then "@" + $by.namespace else "" end) \(.verb, if .verb == "patch" and .responseStatus.code == 201 then "create" else empty end) \($what) \($ref.name // "-") \($ref.namespace // "-")"
    end' "$1" | sort -u
}

# rights_check: of the whole case. It is called where no error ends the shell: each is looked at.
rights_check() {
  local cluster
  for cluster in "${!AUDIT_FROM[@]}"; do rights_keep "$cluster" || return 1; done
  [[ -e $CASE_DIR/audit.json ]] || return 0 # no cluster
  rights_words "$CASE_DIR/audit.json" >"$CASE_DIR/asked" || {
    echo 'the audit log cannot be read'
    return 1
  }
  if [[ ${RIGHTS_OUT:-} ]]; then cp "$CASE_DIR/asked" "$RIGHTS_OUT/${CASE_NAME/\//.}" || return 1; fi
  awk -v name="$CASE_NAME" -v refused="${RIGHTS_REFUSED:-}" '
    FNR == NR && !/^#/ && NF { n++; role[n] = $1; verb[n] = $2; what[n] = $3; object[n] = $4; mine[n] = index(" " $0 " ", " " name " ") }
    FNR == NR { next }
    function who(role) { return role ~ /^agent/ ? "agent" : role ~ /^helm(-as-|$)/ ? "helm" : "controller" } # helm-token is what the controller has
    function fits(i) { return who(role[i]) == who($2) && $3 == verb[i] && $4 == what[i] && (object[i] == "*" || object[i] == $5) }
    $1 == "allow" { # of two roles that allow it in a namespace the log names either
      for (i = 1; i <= n; i++) {
        split(role[i], part, "@")
        if (fits(i) && ($2 == role[i] || (part[2] != "" && part[2] == $6))) used[i] = 1
      }
    }
    $1 == "forbid" && $4 !~ "^/(readyz|livez|healthz|version|apis?|openapi)(/|$)" { # any user may ask for those. A role is not always there at once when an API server has started: what a line allows is not counted
      for (i = 1; i <= n; i++) {
        split(role[i], part, "@")
        if (fits(i) && (part[2] == "" || part[2] == $6)) next
      }
      if (refused == "" || $2 " " $3 " " $4 " " $6 !~ refused) { print "asked for what no role allows: " $0; bad = 1 }
    }
    END {
      for (i = 1; i <= n; i++) if (mine[i] && !used[i]) { print "not used, and lib/rights.txt says that this case does: " role[i], verb[i], what[i], object[i]; bad = 1 }
      exit bad
    }' "$RIGHTS_TABLE" "$CASE_DIR/asked"
}

# chart_roles TEMPLATE [ARGUMENT...]: what the chart gives in a template, with these values; what the controller has is given to that of the tests.
chart_roles() {
  "$(tools_path helm)" template drawbridge "$ROOT/charts/drawbridge" -n drawbridge-system --kube-version 1.33.0 --show-only "templates/$1" \
    --set image.operator.repository=x,image.agent.repository=x "${@:2}" 2>>"$CASE_DIR/helm.log" |
    sed 's/^subjects: .*name: drawbridge-controller,.*/subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "drawbridge:controller"}]/
      s/system:serviceaccount:drawbridge-system:drawbridge-controller/drawbridge:controller/'
}
