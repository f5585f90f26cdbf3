#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Refuses an include that goes against the flow source -> desired -> diff -> apply -> observe ->
# audit, and a library used outside its one owner. Prints TAP lines.
set -u
cd "$(dirname "$0")/../.." || exit 1

# folder -> the folders it may include from, beside itself
declare -A may=(
	[agent/base]=""
	[agent/model]="agent/base"
	[agent/source]="agent/base agent/model"
	[agent/desired]="agent/base agent/model"
	[agent/diff]="agent/base agent/model"
	[agent/observe]="agent/base agent/model cgroup bpf"
	[agent/apply]="agent/base agent/model cgroup"
	[agent/audit]="agent/base agent/model"
	[agent/serve]="agent/base agent/model"
	[agent/daemon]="agent/base agent/model agent/source agent/desired agent/diff agent/apply agent/observe agent/audit agent/serve cgroup bpf"
	[agent/cli]="agent/base agent/model agent/source agent/audit"
	[cgroup]="agent/base"
	[bpf]="agent/base"
)
# header of a library -> how the path of each file that may include it begins
declare -A owner=(
	['numa.h']='agent/source/topology.c'
	['numaif.h']='agent/source/topology.c'
	['libvirt/']='agent/source/libvirt'
	['sqlite3.h']='agent/audit/'
	['nettle/']='agent/audit/'
	['libcgroup.h']='cgroup/'
	['bpf/libbpf.h']='bpf/'
	['bpf/bpf.h']='bpf/'
	['microhttpd.h']='agent/serve/'
	['curl/']='agent/cli/'
	['libsmartcols/']='agent/cli/'
	['libxml/']='agent/source/'
	['ini.h']='agent/source/config_file.c'
)
failed=0

wrong_arrows() {
	local folder file target allowed
	for folder in "${!may[@]}"; do
		for file in "$folder"/*.[ch]; do
			[[ -e $file ]] || continue
			while read -r target; do
				target=${target%/*}
				allowed=" $folder ${may[$folder]} "
				[[ $allowed == *" $target "* ]] || echo "$file includes from $target"
			done < <(sed -n 's|^#include "\(\(agent\|cgroup\|bpf\)/[^"]*\)"|\1|p' "$file")
		done
	done
}

wrong_owners() {
	local header file
	for header in "${!owner[@]}"; do
		while read -r file; do
			[[ $file == "${owner[$header]}"* ]] || echo "$file includes <$header...>"
		done < <(grep -rlE "^#include <${header//./\\.}" agent cgroup bpf --include='*.[ch]')
	done
}

report() {
	local what=$1 found=$2
	if [[ -n $found ]]; then
		echo "not ok - layers: $what"
		while read -r line; do echo "# $line"; done <<< "$found"
		failed=1
	else
		echo "ok - layers: $what"
	fi
}

# A cleanup attribute on a variable that starts as garbage frees garbage on the first early return.
unborn_owners() {
	grep -rnE '^[[:space:]]+(PF_CLEANUP\([a-z_]+\)|[pf_]*auto_[a-z]+) [^=;(]*;' agent cgroup bpf --include='*.[ch]'
}

report "every include goes with the flow" "$(wrong_arrows)"
report "every library has one owner" "$(wrong_owners)"
report "every owner starts empty" "$(unborn_owners)"
exit $failed
