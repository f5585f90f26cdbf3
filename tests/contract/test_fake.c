// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake keeps the contract: one cmocka test a check, on 6.1's and on 6.2's affinities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/contract/suite.h"
#include "tests/fake/cgroup.h"

#define BASE "/machine.slice/base"

struct state {
	const struct pf_contract_check *check;
	bool keep;
};

static pid_t fake_spawn(struct pf_contract *t)
{
	return pf_fake_spawn(t->ctx, BASE, 1000);
}

static void fake_end(struct pf_contract *t, pid_t tid)
{
	pf_fake_kill(t->ctx, tid);
}

static int fake_online(struct pf_contract *t, unsigned int cpu, bool online)
{
	pf_fake_online(t->ctx, cpu, online);
	return 0;
}

static void run_check(void **data)
{
	const struct state *state = *data;
	char base[] = BASE;
	struct pf_fake *fake = NULL;
	struct pf_contract t = {.base = base,
				.spawn = fake_spawn,
				.end = fake_end,
				.online = fake_online,
				.keeps_affinity = state->keep};
	enum pf_contract_result result;

	assert_int_equal(pf_fake_new(8, 4, &fake), 0);
	pf_fake_keep_affinity(fake, state->keep);
	assert_int_equal(pf_fake_mkdir_all(fake, base), 0);
	assert_int_equal(pf_fake_spawn(fake, base, 0), 1000);
	t.cg = pf_fake_cgroup(fake);
	t.ctx = fake;
	pf_set_add_range(&t.cpus, 0, 7);
	pf_set_add_range(&t.nodes, 0, 3);
	result = state->check->run(&t);
	if (result != PF_CONTRACT_OK)
		print_message("%s: %s\n", state->check->name, t.words);
	pf_fake_free(&fake);
	assert_int_equal(result, PF_CONTRACT_OK);
}

int main(void)
{
	size_t count = pf_contract_check_count * 2;
	struct CMUnitTest *tests = calloc(count, sizeof(*tests));
	struct state *states = calloc(count, sizeof(*states));
	int failed;

	if (!tests || !states)
		abort();
	for (size_t i = 0; i < count; i++) {
		states[i].check = &pf_contract_checks[i / 2];
		states[i].keep = i % 2;
		tests[i].name = states[i].check->name;
		tests[i].test_func = run_check;
		tests[i].initial_state = &states[i];
	}
	failed = _cmocka_run_group_tests("contract: fake", tests, count, NULL, NULL);
	free(tests);
	free(states);
	return failed;
}
