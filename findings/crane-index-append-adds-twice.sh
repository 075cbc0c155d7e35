#!/usr/bin/env bash
# crane index append adds a manifest that the index already has.
#
# crane 0.20.6: `crane index append -m IMAGE -t INDEX INDEX`, run again with the same image, leaves an index with two
# equal descriptors: the same digest and the same platform. The registry (docker-registry 2.8.2) and skopeo 1.9.3 take
# it. One would expect that the second run changes nothing; a script that refreshes an index must remove the old entry.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"
go_tool crane
start_registry
push_oci_image

crane index append --insecure -m "$registry/run" -t "$registry/index" 2>/dev/null
crane index append --insecure -m "$registry/run" -t "$registry/index" "$registry/index" 2>/dev/null
digests=$(crane manifest --insecure "$registry/index" | grep -o '"digest":"[^"]*"')
skopeo copy -q --all --src-tls-verify=false "docker://$registry/index" oci:copy:index
printf 'entries of the index:\n%s\n' "$digests"
expect "$(sort <<<"$digests" | uniq -c)" "2 \"digest\":"
