# SPDX-License-Identifier: GPL-2.0-or-later
# lab: 4x2 systemd
# shellcheck shell=bash
# What happens to a guest is on record: shown, followed, kept over kills, found when it was altered;
# and a record that can't be kept keeps no guest from being held.

RECORD=/var/lib/pinfold/audit.db

setup()
{
	rm -f "$RECORD"*
	guest gamma --vcpus 2 --cputune "<vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='3-5'/>"
	agent_start
	becomes_held
}

teardown()
{
	agent_stop
	rm -f "$RECORD"*
	umount /tmp/small 2>/dev/null
	lab_guest_destroy gamma
}

# events JQ [OPTIONS]: those of the record that the expression chooses.
events()
{
	local choice=$1
	shift
	"$PINFOLD" audit --json "$@" | jq -c "select($choice)"
}

has_event()
{
	[[ -n $(events "$@") ]]
}

head_seq()
{
	"$PINFOLD" audit --json -n 1 | jq .seq
}

# drift CPUS: changes vCPU 0's cpuset and waits until it is put right.
drift()
{
	write_knob "$(lab_scope gamma)/vcpu0/cpuset.cpus" "$1"
	becomes 2 cat "$(lab_scope gamma)/vcpu0/cpuset.cpus"
	becomes_held
}

intact()
{
	"$PINFOLD" audit verify | grep -q "is intact: .* records, seq $1 to "
}

test_the_start_of_the_agent_is_the_first_event()
{
	wait_for 60 has_event '.seq == 1'
	"$PINFOLD" audit --json -n 100 | head -n 1 |
		jq -e '.kind == "agent" and .cause == "start" and .guest == null and .thread == null'
}

test_a_drift_and_its_repair_are_on_record()
{
	local since
	since=$(head_seq)
	drift 6
	wait_for 30 has_event ".seq > $since and .kind == \"drift\""
	events ".seq > $since and .kind == \"drift\"" > /tmp/drift.json
	cat /tmp/drift.json
	head -n 1 /tmp/drift.json | jq -e --arg uuid "$(virsh domuuid gamma | head -n 1)" '
		.guest == {uuid: $uuid, name: "gamma"} and .cause == "cpuset" and
		.action == "repaired" and
		(.time | test("^20..-..-..T..:..:..\\.[0-9]{9}Z$")) and (.detail | length) > 0'
	"$PINFOLD" audit --guest gamma --kind drift -n 1 | grep -E '^[0-9-]{5} [0-9:.]{12} gamma +drift/cpuset .*repaired'
}

test_filters_choose()
{
	local all
	"$PINFOLD" audit --json > /tmp/all.json
	all=$(jq -s length /tmp/all.json)
	jq -s 'group_by(.kind, .cause)[] | "\(length) \(.[0].kind)/\(.[0].cause)"' /tmp/all.json
	is 0 jq -s length <<< "$("$PINFOLD" audit --json --guest nobody)"
	is 2 jq -s length <<< "$("$PINFOLD" audit --json -n 2)"
	# New ones may have come meanwhile.
	"$PINFOLD" audit --json --since -1d | head -n "$all" | cmp - /tmp/all.json
	is 0 jq -s length <<< "$("$PINFOLD" audit --json --until -1d)"
	"$PINFOLD" audit --guest "$(virsh domuuid gamma | head -n 1)" --json | jq -se 'length > 0'
	"$PINFOLD" audit --json --kind agent | jq -se 'length > 0 and all(.kind == "agent")'
	refuses 2 "$PINFOLD" audit --kind weather
	refuses 2 "$PINFOLD" audit --since soon
	refuses 2 "$PINFOLD" audit prove
}

test_hold_release_reload_and_new_promises_are_on_record()
{
	"$PINFOLD" release gamma
	"$PINFOLD" hold gamma
	wait_for 60 has_event '.kind == "policy" and .cause == "operator" and .detail == "released" and
		.actor.comm == "pinfold" and .actor.uid == 0 and (.actor.cgroup | startswith("/"))' \
		--guest gamma
	wait_for 60 has_event '.kind == "policy" and .detail == "held again"' --guest gamma
	kill -HUP "$(agent_pid)"
	wait_for 60 has_event '.kind == "agent" and .cause == "operator"'
	virsh vcpupin gamma 1 4-5 --live
	wait_for 30 has_event '.kind == "policy" and .cause == "libvirt" and
		(.detail | contains("vcpu 1 cpus 3-5 -> 4-5"))' --guest gamma
	becomes_held
}

test_follow_shows_what_comes()
{
	local follower since
	since=$(head_seq)
	"$PINFOLD" audit --follow --json --kind drift -n 1 > /tmp/follow.json &
	follower=$!
	sleep 1
	drift 7
	wait_for 30 sh -c "jq -c 'select(.seq > $since)' /tmp/follow.json | grep -q cpuset"
	kill "$follower"
	jq -se 'map(.seq) | . == unique' /tmp/follow.json
}

journal_has()
{
	journalctl --sync
	journalctl -q -o json --no-pager "$@" | jq -se 'length > 0'
}

test_the_journal_has_it_with_fields()
{
	wait_for 60 journal_has PINFOLD_GUEST=gamma PINFOLD_KIND=drift PINFOLD_CAUSE=cpuset \
		PINFOLD_ACTION=repaired
	journalctl -q -o json --no-pager PINFOLD_GUEST=gamma PINFOLD_CAUSE=cpuset |
		jq -se '.[0] | (.PINFOLD_SEQ | tonumber) > 0 and (.PINFOLD_HASH | length) == 64 and
			(.PINFOLD_GUEST_UUID | length) == 36 and .PRIORITY == "5"'
	# The journal is a witness of the record: the same hash for the same seq.
	local seq
	seq=$(journalctl -q -o json --no-pager PINFOLD_CAUSE=cpuset -n 1 | jq -r .PINFOLD_SEQ)
	is "$(journalctl -q -o json --no-pager "PINFOLD_SEQ=$seq" -n 1 | jq -r .PINFOLD_HASH)" \
		python3 -c "import sqlite3; print(sqlite3.connect('file:$RECORD?mode=ro', uri=True)
			.execute('select lower(hex(hash)) from event where seq = $seq').fetchone()[0])"
}

test_a_killed_agent_loses_nothing_that_was_stored()
{
	local before
	drift 1
	wait_for 60 has_event '.kind == "drift"' -n 5
	sleep 1
	"$PINFOLD" audit --json > /tmp/before.json
	before=$(tail -n 1 /tmp/before.json | jq .seq)
	agent_stop KILL
	# Without the agent, it is read itself.
	"$PINFOLD" audit --json 2> /tmp/note > /tmp/dead.json
	is "$(tail -n 1 /tmp/dead.json)" "$PINFOLD" audit --json -n 1
	grep -q "reading $RECORD itself" /tmp/note
	cmp /tmp/before.json /tmp/dead.json
	intact 1
	agent_start
	wait_for 60 has_event ".seq == $before + 1 and .cause == \"start\""
	"$PINFOLD" audit --json | head -n "$(wc -l < /tmp/before.json)" | cmp - /tmp/before.json
	intact 1
}

# altered SQL: the record with that done to it is found to be no longer whole.
altered()
{
	rm -f /tmp/altered.db*
	cp "$RECORD" /tmp/altered.db
	python3 - "$1" <<-'END'
	import sqlite3, sys
	db = sqlite3.connect("/tmp/altered.db")
	db.executescript(sys.argv[1])
	db.commit()
	db.close()
	END
	refuses 1 "$PINFOLD" audit verify --file /tmp/altered.db
	grep -F -- "$2" /tmp/refused.out
}

test_an_altered_record_is_found_out()
{
	agent_stop
	intact 1
	altered "UPDATE event SET detail = 'nothing happened' WHERE seq = 2" "at seq 2: record 2 is not as it was written"
	altered "DELETE FROM event WHERE seq = 3" "at seq 3: record 3 was removed"
	altered "UPDATE event SET seq = -1 WHERE seq = 2; UPDATE event SET seq = 2 WHERE seq = 3;
		UPDATE event SET seq = 3 WHERE seq = -1" "at seq 2:"
	altered "DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)" "were removed"
	intact 1
	agent_start
	becomes_held
}

test_a_damaged_record_is_set_aside()
{
	agent_stop
	printf 'no database' | dd of="$RECORD" conv=notrunc status=none
	refuses 1 "$PINFOLD" audit verify
	agent_start
	wait_for 60 has_event '.cause == "damage" and (.detail | contains("set aside"))'
	ls "$RECORD".corrupt-*Z
	grep "set aside as" "$AGENT_LOG"
	becomes_held
	intact 1
}

small_config()
{
	printf '[audit]\npath = /tmp/small/audit.db\n'
}

test_a_full_disk_does_not_keep_guests_from_being_held()
{
	agent_stop
	mkdir -p /tmp/small
	mount -t tmpfs -o size=1m tmpfs /tmp/small
	agent_start "$(small_config)"
	becomes_held
	wait_for 60 has_event '.cause == "start"'
	dd if=/dev/zero of=/tmp/small/fill bs=4096 status=none || true
	for cpu in 5 6 7 1 4; do
		drift "$cpu"
	done
	wait_for 30 grep -q "events can't be recorded" "$AGENT_LOG"
	"$PINFOLD" status --check
	is 0 jq -s length <<< "$(events '.kind == "drift"')"
	rm /tmp/small/fill
	wait_for 30 grep -q "events are recorded again" "$AGENT_LOG"
	# What waited is there now, each drift of it.
	is 5 jq -s length <<< "$(events '.kind == "drift" and .cause == "cpuset"')"
	"$PINFOLD" audit verify --file /tmp/small/audit.db
	agent_stop
	umount /tmp/small
	agent_start
}

test_stopping_is_on_record_too()
{
	agent_stop
	"$PINFOLD" audit --json -n 1 2>/dev/null | jq -e '.kind == "agent" and .cause == "stop"'
	agent_start
}
