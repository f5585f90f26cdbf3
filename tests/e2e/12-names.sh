# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# Names that systemd escapes, and that terminals and paths choke on.

NAMES=(
	'two words'
	'dots.in.it'
	'back\slash'
	'Prüfstand-ñ-東京'
	"$(printf 'n%.0s' {1..200})"
)

setup()
{
	local name
	for name in "${NAMES[@]}"; do
		guest "$name" --cputune "<vcpupin vcpu='0' cpuset='3'/>"
	done
	agent_start
	becomes_held
}

teardown()
{
	local name
	agent_stop
	for name in "${NAMES[@]}"; do
		lab_guest_destroy "$name"
	done
}

test_guests_of_every_name_are_held()
{
	local name
	for name in "${NAMES[@]}"; do
		is held state "$name"
		is 3 allowed "$(vcpu_tid "$name" 0)"
		is "$name" jq -r '.guests[0].name' <<< "$("$PINFOLD" status "$name" --json)"
	done
}

test_drift_of_guests_of_every_name_is_put_right()
{
	local name
	for name in "${NAMES[@]}"; do
		write_knob "$(lab_scope "$name")/vcpu0/cpuset.cpus" 0-1
		write_knob "$(lab_scope "$name")/vcpu0/cpu.max" "50000 100000"
	done
	for name in "${NAMES[@]}"; do
		becomes 3 cat "$(lab_scope "$name")/vcpu0/cpuset.cpus"
		becomes 3 allowed "$(vcpu_tid "$name" 0)"
		becomes "max 100000" cat "$(lab_scope "$name")/vcpu0/cpu.max"
	done
	becomes_held
}

test_scope_weights_of_guests_of_every_name_follow_their_shares()
{
	local name unit
	for name in "${NAMES[@]}"; do
		virsh schedinfo "$name" --live cpu_shares=321
		unit=$(unit_dir "$name")
		becomes 321 cat "$unit/cpu.weight"
		write_knob "$unit/cpu.weight" 5
		becomes 321 cat "$unit/cpu.weight"
	done
	becomes_held
}

test_release_and_hold_take_every_name_and_the_uuid()
{
	local name uuid
	for name in "${NAMES[@]}"; do
		"$PINFOLD" release "$name"
		is observed state "$name"
		uuid=$("$PINFOLD" status "$name" --json | jq -r '.guests[0].uuid')
		"$PINFOLD" hold "$uuid"
		is held state "$name"
	done
}
