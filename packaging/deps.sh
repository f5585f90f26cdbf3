#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs what building, the lab and the tests need. Does nothing where all of it is there.
#   packaging/deps.sh [--quiet] [--list]
set -euo pipefail

build=(git binutils dpkg-dev gcc make pkg-config clang llvm bpftool libc6-dev
	libvirt-dev libcgroup-dev libnuma-dev libbpf-dev libsystemd-dev libjansson-dev
	libxml2-dev libmicrohttpd-dev libcurl4-openssl-dev libinih-dev libsmartcols-dev
	libsqlite3-dev nettle-dev)
tests=(libcmocka-dev shellcheck mandoc jq curl python3 libasan8 libubsan1)
lab=(linux-image-amd64 qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients
	libvirt-daemon-driver-qemu systemd systemd-container dbus busybox-static cpio xz-utils
	kmod numactl util-linux iproute2 procps e2fsprogs)
all=("${build[@]}" "${tests[@]}" "${lab[@]}")

quiet=0
for arg in "$@"; do
	case $arg in
	--quiet) quiet=1 ;;
	--list) printf '%s\n' "${all[@]}"; exit 0 ;;
	*) echo "deps.sh: unknown option $arg" >&2; exit 2 ;;
	esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
	echo "make deps installs with apt on Debian 12; here is no apt. What it would install" >&2
	echo "(Debian's names; find your distribution's for them):" >&2
	printf '  %s\n' "${all[@]}" >&2
	exit 1
fi

missing=()
for package in "${all[@]}"; do
	state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || echo none)
	[[ $state == installed ]] || missing+=("$package")
done
if [[ ${#missing[@]} == 0 ]]; then
	[[ $quiet == 1 ]] || echo "everything that build, lab and tests need is installed"
	exit 0
fi
if [[ $(id -u) != 0 ]]; then
	echo "make deps: not root; as root, run: apt-get install --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# libvirtd and machined run in the lab only: installing them here must not start them here.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	printf '#!/bin/sh\nexit 101\n' > "$policy"
	chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
fi

echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
	tail -n 30 "$log" >&2
	echo "make deps: apt failed; its whole output is in $log" >&2
	exit 1
fi
rm -f "$log"
