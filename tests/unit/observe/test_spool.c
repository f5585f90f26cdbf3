// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/observe/spool.h"

static char path[64];
static uint64_t heard[4096];
static size_t heard_count;
static struct pf_knob_record last;

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/tmp/pf-spool-XXXXXX");
	close(mkstemp(path));
	heard_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static void hear(const struct pf_record *record, void *arg)
{
	(void)arg;
	heard[heard_count++] = record->seq;
	memcpy(&last, record, sizeof(last));
}

static struct pf_spool *open_spool(void)
{
	struct pf_spool *spool = NULL;
	struct pf_err err = {};

	if (pf_spool_open(path, &spool, &err) < 0)
		fail_msg("%s", err.text);
	return spool;
}

static void add(struct pf_spool *spool, uint64_t seq)
{
	const struct pf_record record = {.seq = seq, .kind = PF_REC_MASK, .tid = (uint32_t)seq};

	pf_spool_add(spool, &record);
}

static void what_a_killed_process_had_is_found_again_in_order(void **state)
{
	PF_CLEANUP(pf_spool_close) struct pf_spool *killed = open_spool(), *next = NULL;

	(void)state;
	add(killed, 30);
	add(killed, 10);
	add(killed, 20);
	next = open_spool();
	assert_int_equal(pf_spool_count(next), 3);
	pf_spool_replay(next, hear, NULL);
	assert_int_equal(heard_count, 3);
	assert_int_equal(heard[0], 10);
	assert_int_equal(heard[1], 20);
	assert_int_equal(heard[2], 30);
	assert_int_equal(last.rec.tid, 30);
}

static void what_was_written_comes_back_with_a_knob(void **state)
{
	PF_CLEANUP(pf_spool_close) struct pf_spool *spool = open_spool();
	struct pf_knob_record knob = {.rec = {.seq = 5, .kind = PF_REC_KNOB}};

	(void)state;
	strcpy(knob.knob, "cpuset.cpus");
	strcpy(knob.text, "0-7");
	pf_spool_add(spool, &knob.rec);
	pf_spool_replay(spool, hear, NULL);
	assert_memory_equal(&last, &knob, sizeof(knob));
}

static void only_what_is_pending_is_kept(void **state)
{
	PF_CLEANUP(pf_spool_close) struct pf_spool *spool = open_spool(), *next = NULL;
	uint64_t pending[] = {7, 3, 99};

	(void)state;
	for (uint64_t seq = 1; seq <= 8; seq++)
		add(spool, seq);
	pf_spool_keep(spool, pending, 3);
	assert_int_equal(pf_spool_count(spool), 2);
	next = open_spool();
	pf_spool_replay(next, hear, NULL);
	assert_int_equal(heard_count, 2);
	assert_int_equal(heard[0], 3);
	assert_int_equal(heard[1], 7);
	pf_spool_keep(spool, NULL, 0);
	assert_int_equal(pf_spool_count(spool), 0);
}

/* Full: nothing is overwritten; holes are used again. */
static void a_full_spool_keeps_what_it_has(void **state)
{
	PF_CLEANUP(pf_spool_close) struct pf_spool *spool = open_spool();
	uint64_t pending[2048];

	(void)state;
	for (uint64_t seq = 1; seq <= 3000; seq++)
		add(spool, seq);
	assert_int_equal(pf_spool_count(spool), 2048);
	for (uint64_t i = 0; i < 2048; i++)
		pending[i] = i == 100 ? 5000 : i + 1;
	pf_spool_keep(spool, pending, 2048);
	assert_int_equal(pf_spool_count(spool), 2047);
	add(spool, 4000);
	add(spool, 4001);
	assert_int_equal(pf_spool_count(spool), 2048);
	pf_spool_replay(spool, hear, NULL);
	assert_int_equal(heard_count, 2048);
	assert_int_equal(heard[100], 102);
	assert_int_equal(heard[2047], 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_killed_process_had_is_found_again_in_order,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_written_comes_back_with_a_knob, setup,
						teardown),
		cmocka_unit_test_setup_teardown(only_what_is_pending_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_spool_keeps_what_it_has, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
