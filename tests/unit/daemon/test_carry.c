// SPDX-License-Identifier: GPL-2.0-or-later
/* What the loop does while a write to cpuset.mems does not return. */
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/audit/query.h"
#include "agent/audit/store.h"
#include "agent/daemon/carry.h"
#include "agent/daemon/tell.h"
#include "tests/fake/gate.h"
#include "tests/unit/diff/world.h"

#define UUID "00000000-0000-0000-0000-00000000000a"
#define OTHER "/machine.slice/b.scope"
#define MEMS "cpuset.mems"
#define AGO UINT64_C(2000000000)

/* Guest "a" is the world's, with a vCPU whose nodes and CPUs a stranger has rewritten; "b" is OTHER. */
struct here {
	struct world w;
	struct pf_gate *gate;
	struct pf_agent agent;
	struct pf_held *a;
	struct pf_held *b;
	char dir[64];
	char page[128]; /* of the ledger, about "a" */
};

static void must(int r, const struct pf_err *err)
{
	if (r < 0)
		fail_msg("%s", err->text);
}

static void drift(struct here *h)
{
	const struct pf_cgroup_ops *ops = h->w.cg->ops;

	must(ops->write(h->w.cg, BASE "/vcpu0", "cpuset.cpus", "2-6", NULL), NULL);
	must(ops->write(h->w.cg, BASE "/vcpu0", MEMS, "0-2", NULL), NULL);
}

static void plan_a(struct here *h)
{
	pf_plan_clear(&h->a->plan);
	pf_guest_status_clear(&h->a->status);
	plan_of(&h->w, &h->a->plan, &h->a->status);
}

static void open_agent(struct here *h)
{
	struct pf_agent *agent = &h->agent;
	char path[128];
	struct pf_audit_options options = {.path = path};
	struct pf_err err = {};

	must(pf_config_init(&agent->config), &err);
	free(agent->config.uri);
	agent->config.uri = strdup("test+unix:///default?socket=/nowhere");
	must(pf_libvirt_start(&agent->config, &agent->libvirt, &err), &err);
	snprintf(path, sizeof(path), "%s/audit.db", h->dir);
	must(pf_audit_open(&options, &agent->audit, &err), &err);
	must(pf_ledger_open(h->dir, &agent->ledger, &err), &err);
	agent->apply = (struct pf_apply){.cg = h->w.cg, .ledger = agent->ledger};
	strcpy(agent->host.kernel, "6.1.0-32-amd64");
	agent->held = calloc(2, sizeof(*agent->held));
	agent->held_count = 2;
	must(pf_carry_start(agent, &err), &err);
}

static void begin(struct here *h)
{
	*h = (struct here){};
	make_world(&h->w);
	assert_int_equal(hold(&h->w), 0);
	assert_int_equal(pf_gate_new(h->w.cg, &h->gate), 0);
	h->w.cg = pf_gate_cgroup(h->gate);
	strcpy(h->dir, "/dev/shm/pinfold-carry-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	snprintf(h->page, sizeof(h->page), "%s/guests/" UUID ".json", h->dir);
	open_agent(h);
	h->a = &h->agent.held[0];
	h->b = &h->agent.held[1];
	*h->a = (struct pf_held){.uuid = UUID, .present = true, .pid = h->w.guest.pid};
	h->a->name = strdup("a");
	*h->b = (struct pf_held){.uuid = "00000000-0000-0000-0000-00000000000b", .present = true};
	h->b->name = strdup("b");
	h->b->status.mode = PF_MODE_ENFORCE;
	drift(h);
	plan_a(h);
}

static void end(struct here *h)
{
	char command[128];

	for (size_t i = 0; i < h->agent.held_count; i++)
		pf_held_clear(&h->agent.held[i]);
	free(h->agent.held);
	assert_int_equal(pf_workers_free(&h->agent.workers), 0);
	pf_libvirt_stop(&h->agent.libvirt);
	pf_audit_close(&h->agent.audit);
	pf_ledger_free(&h->agent.ledger);
	pf_config_clear(&h->agent.config);
	free_world(&h->w);
	pf_gate_free(&h->gate);
	snprintf(command, sizeof(command), "rm -rf '%s'", h->dir);
	assert_int_equal(system(command), 0);
}

/* The plan of "a" is begun, and its first write does not return. */
static void hang(struct here *h)
{
	pf_gate_shut(h->gate, BASE "/vcpu0", MEMS);
	pf_carry_out(&h->agent, h->a);
	pf_gate_wait(h->gate);
	assert_non_null(h->a->job);
	assert_file(&h->w, BASE "/vcpu0", MEMS, "1");
}

/* The loop's turn once a job is done. */
static struct pf_held *take(struct here *h)
{
	struct pollfd ready = {.fd = pf_workers_fd(h->agent.workers), .events = POLLIN};
	struct pf_held *held = NULL;

	assert_int_equal(poll(&ready, 1, 30000), 1);
	assert_true(pf_carry_take(&h->agent, &held));
	assert_false(pf_carry_take(&h->agent, &held));
	assert_int_equal(poll(&ready, 1, 0), 0);
	return held;
}

/* Until nothing is being done to "a": on a busy machine it may all take longer than a moment. */
static void settle_a(struct here *h)
{
	while (h->a->job)
		assert_ptr_equal(take(h), h->a);
}

static struct pf_step *plan_b(struct here *h, enum pf_step_kind kind)
{
	struct pf_step *step;

	pf_plan_clear(&h->b->plan);
	memcpy(h->b->plan.uuid, h->b->uuid, sizeof(h->b->plan.uuid));
	step = pf_append(&h->b->plan.steps, &h->b->plan.count);
	step->kind = kind;
	return step;
}

static void have_affinity_of_b(struct here *h, unsigned int cpu)
{
	struct pf_step *step = plan_b(h, PF_STEP_AFFINITY);

	step->tid = h->w.other;
	pf_set_add(&step->cpus, cpu);
}

static void have_cpus_of_b(struct here *h, const char *cpus)
{
	struct pf_step *step = plan_b(h, PF_STEP_KNOB);

	step->group = strdup(OTHER);
	step->knob = strdup("cpuset.cpus");
	step->value = strdup(cpus);
}

static void have_b_moved(struct here *h)
{
	struct pf_step *step = plan_b(h, PF_STEP_ATTACH);

	step->group = strdup("/machine.slice");
	step->tid = h->w.other;
}

static enum pf_turn turn_of(struct here *h, struct pf_held *held)
{
	uint64_t when = 0;

	held->ticket = 1; /* and libvirt has answered */
	held->pages_move = pf_carry_pages_move(&h->agent);
	return pf_held_turn(held, 1, pf_now_usec(), &when);
}

static enum pf_state told(struct here *h, const char *words)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	bool found = false;

	assert_int_equal(pf_tell_status(&h->agent, h->a, &status), 0);
	assert_int_equal(status.guest_count, 1);
	for (size_t i = 0; i < status.guests[0].findings.count; i++)
		found |= strstr(status.guests[0].findings.items[i].text, words) != NULL;
	assert_true(found);
	return status.guests[0].state;
}

/* As the eBPF programs tell the time. */
static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Somebody wrote it so long ago. */
static void remember_who_did_it(struct here *h, uint64_t ago_ns)
{
	struct pf_act act = {.kind = PF_ACT_KNOB};

	pf_event_init(&act.event, PF_EVENT_DRIFT, PF_EVENT_CPUSET, PF_EVENT_OBSERVED);
	act.event.boot_ns = now_ns() - ago_ns;
	act.event.wall_ns = act.event.boot_ns;
	act.event.has_actor = true;
	act.event.actor.pid = 4711;
	act.group = strdup(BASE "/vcpu0");
	act.knob = strdup(MEMS);
	pf_acts_add(&h->a->acts, &act, false, pf_now_usec());
}

/* Return: how many events that repair are on record; @out: the last one's latency. */
static unsigned int recorded(struct here *h, uint64_t *out)
{
	const struct pf_event_filter filter = {};
	struct pf_audit_reader *reader = NULL;
	unsigned int count = 0;
	char path[128];
	struct pf_err err = {};
	struct pf_event event;
	int r;

	must(pf_audit_flush(h->agent.audit, &err), &err);
	snprintf(path, sizeof(path), "%s/audit.db", h->dir);
	must(pf_audit_reader_open(path, &filter, &reader, &err), &err);
	while ((r = pf_audit_reader_next(reader, &event, &err)) >= 0) {
		if (!r)
			continue;
		count += event.action == PF_EVENT_REPAIRED;
		*out = event.latency_ns;
		pf_event_clear(&event);
	}
	pf_audit_reader_close(&reader);
	assert_int_equal(r, -ENODATA);
	return count;
}

/* ---- others ------------------------------------------------------------------------------- */

static void other_guests_are_repaired_while_memory_is_moved(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	have_affinity_of_b(&h, 5);
	assert_int_equal(turn_of(&h, h.b), PF_TURN_APPLY);
	pf_carry_out(&h.agent, h.b);
	assert_null(h.b->job);
	assert_allowed(&h.w, h.w.other, "5");
	/* A write to its cpuset may have to wait for the same, so a second thread does it. */
	have_cpus_of_b(&h, "6");
	pf_carry_out(&h.agent, h.b);
	if (h.b->job) /* it may be done already */
		assert_ptr_equal(take(&h), h.b);
	assert_null(h.b->job);
	assert_file(&h.w, OTHER, "cpuset.cpus", "6");
	assert_non_null(h.a->job);
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	assert_held(&h.w);
	end(&h);
}

static void threads_are_not_moved_while_memory_is_where_that_waits_with_the_lock(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	have_b_moved(&h);
	assert_int_equal(turn_of(&h, h.b), PF_TURN_WAIT);
	assert_true(h.b->waits_for_pages);
	strcpy(h.agent.host.kernel, "6.18.0-rc1");
	assert_int_equal(turn_of(&h, h.b), PF_TURN_APPLY);
	assert_false(h.b->waits_for_pages);
	strcpy(h.agent.host.kernel, "6.17.9");
	assert_int_equal(turn_of(&h, h.b), PF_TURN_WAIT);
	pf_gate_open(h.gate);
	take(&h);
	assert_int_equal(turn_of(&h, h.b), PF_TURN_APPLY);
	end(&h);
}

/* ---- the guest itself --------------------------------------------------------------------- */

static void what_is_waited_for_is_told_and_nothing_else_is_begun(void **state)
{
	uint64_t latency = 0;
	struct here h;

	(void)state;
	begin(&h);
	remember_who_did_it(&h, AGO);
	hang(&h);
	plan_a(&h); /* what a look finds meanwhile */
	assert_true(h.a->plan.count > 0);
	assert_int_equal(turn_of(&h, h.a), PF_TURN_WAIT);
	h.a->job_usec -= 12000000;
	assert_int_equal(told(&h, "memory is being moved to nodes 1, for 12 s now"),
			 PF_STATE_DRIFTING);
	assert_int_equal(recorded(&h, &latency), 0);
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	assert_null(h.a->job);
	assert_held(&h.w);
	assert_int_equal(recorded(&h, &latency), 1);
	assert_true(latency > AGO);
	plan_a(&h);
	assert_int_equal(turn_of(&h, h.a), PF_TURN_NOTHING);
	end(&h);
}

/* cpuset.mems reads as promised from the beginning. */
static void it_is_not_held_before_the_write_has_returned(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	must(h.w.cg->ops->write(h.w.cg, BASE "/vcpu0", "cpuset.cpus", "2", NULL), NULL);
	plan_a(&h);
	assert_int_equal(h.a->plan.count, 0);
	assert_int_equal(h.a->status.state, PF_STATE_HELD);
	assert_int_equal(told(&h, "memory is being moved to nodes 1"), PF_STATE_DRIFTING);
	assert_int_equal(turn_of(&h, h.a), PF_TURN_WAIT);
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	assert_held(&h.w);
	end(&h);
}

static void what_is_done_meanwhile_is_not_said_to_be_repaired(void **state)
{
	uint64_t latency = 0;
	struct here h;

	(void)state;
	begin(&h);
	remember_who_did_it(&h, AGO);
	hang(&h);
	remember_who_did_it(&h, 0); /* once more, by the same process */
	assert_int_equal(h.a->acts.count, 2);
	pf_gate_open(h.gate);
	take(&h);
	assert_int_equal(recorded(&h, &latency), 1);
	assert_int_equal(h.a->acts.count, 1);
	end(&h);
}

static void a_failure_after_it_undoes_it(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	pf_fake_fail(h.w.fake, "cpuset.cpus", 1, EBUSY);
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	assert_file(&h.w, BASE "/vcpu0", MEMS, "0-2");
	assert_file(&h.w, BASE "/vcpu0", "cpuset.cpus", "2-6");
	assert_true(pf_tries_failing(&h.a->tries));
	assert_int_equal(turn_of(&h, h.a), PF_TURN_WAIT);
	end(&h);
}

static void a_value_that_did_not_last_is_a_failure(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	must(h.w.cg->ops->write(h.w.cg, BASE "/vcpu0", MEMS, "3", NULL), NULL);
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	assert_true(pf_tries_failing(&h.a->tries));
	assert_file(&h.w, BASE "/vcpu0", MEMS, "3");
	assert_file(&h.w, BASE "/vcpu0", "cpuset.cpus", "2-6");
	end(&h);
}

static void another_promise_ends_it_and_what_was_done_stands(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	pf_held_supersede(h.a); /* libvirt says something else now */
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	assert_file(&h.w, BASE "/vcpu0", MEMS, "1");
	assert_file(&h.w, BASE "/vcpu0", "cpuset.cpus", "2-6");
	assert_false(pf_tries_failing(&h.a->tries));
	plan_a(&h);
	assert_int_equal(turn_of(&h, h.a), PF_TURN_APPLY);
	pf_carry_out(&h.agent, h.a);
	settle_a(&h);
	assert_held(&h.w);
	end(&h);
}

static void libvirt_at_work_ends_it_too(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	remember_who_did_it(&h, 0);
	assert_int_equal(turn_of(&h, h.a), PF_TURN_WAIT);
	assert_false(h.a->job->run->superseded);
	h.a->acts.items[0].by_libvirt = true;
	assert_int_equal(turn_of(&h, h.a), PF_TURN_WAIT);
	assert_true(h.a->job->run->superseded);
	pf_gate_open(h.gate);
	take(&h);
	end(&h);
}

static void its_end_in_the_middle_leaves_nothing(void **state)
{
	struct stat st;
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	assert_int_equal(stat(h.page, &st), 0); /* on record before the first change */
	assert_int_equal(pf_ledger_forget(h.agent.ledger, UUID, NULL), 0);
	pf_held_clear(h.a);
	*h.a = (struct pf_held){.uuid = UUID, .present = true, .pid = 99}; /* started anew */
	h.a->name = strdup("a");
	pf_gate_open(h.gate);
	assert_null(take(&h));
	assert_file(&h.w, BASE "/vcpu0", "cpuset.cpus", "2-6");
	assert_int_equal(stat(h.page, &st), -1);
	end(&h);
}

/* ---- letting go --------------------------------------------------------------------------- */

/* Held, and to be let go. */
static void begin_released(struct here *h)
{
	begin(h);
	pf_carry_out(&h->agent, h->a);
	settle_a(h);
	assert_held(&h->w);
	h->a->released = true;
}

static void releasing_waits_for_no_pages(void **state)
{
	struct pf_err err = {};
	struct here h;

	(void)state;
	begin_released(&h);
	pf_gate_shut(h.gate, BASE "/vcpu0", MEMS);
	assert_int_equal(pf_carry_back(&h.agent, h.a, &err), 1);
	assert_non_null(h.a->job);
	pf_gate_wait(h.gate);
	plan_a(&h);
	assert_int_equal(told(&h, "found before the first change is being put back"),
			 PF_STATE_OBSERVED);
	assert_int_equal(pf_carry_back(&h.agent, h.a, &err), 1); /* asked again */
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	assert_file(&h.w, BASE "/vcpu0", MEMS, "0-2");
	assert_file(&h.w, BASE "/vcpu0", "cpuset.cpus", "2-6");
	assert_int_equal(pf_carry_back(&h.agent, h.a, &err), 0); /* nothing is left to do */
	assert_null(h.a->job);
	end(&h);
}

/* Who waits for it reads in the status when it is over, and what it could not do. */
static void what_a_release_could_not_put_back_is_told_until_it_could(void **state)
{
	PF_CLEANUP(pf_status_clear) struct pf_status during = {}, after = {};
	struct pf_err err = {};
	struct here h;

	(void)state;
	begin_released(&h);
	pf_fake_fail(h.w.fake, "cpuset.cpus", 1, EBUSY);
	pf_gate_shut(h.gate, BASE "/vcpu0", MEMS);
	assert_int_equal(pf_carry_back(&h.agent, h.a, &err), 1);
	pf_gate_wait(h.gate);
	assert_int_equal(pf_tell_status(&h.agent, h.a, &during), 0);
	assert_non_null(during.guests[0].under_way);
	assert_null(during.guests[0].not_put_back);
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	plan_a(&h);
	assert_int_equal(pf_tell_status(&h.agent, h.a, &after), 0);
	assert_null(after.guests[0].under_way);
	assert_non_null(strstr(after.guests[0].not_put_back, "could not be put back"));
	assert_int_equal(told(&h, "could not be put back"), PF_STATE_OBSERVED);
	assert_int_equal(pf_carry_back(&h.agent, h.a, &err), 0);
	assert_null(h.a->not_put_back);
	assert_file(&h.w, BASE "/vcpu0", MEMS, "0-2");
	end(&h);
}

static void released_in_the_middle_it_is_put_back_afterwards(void **state)
{
	struct pf_err err = {};
	struct here h;

	(void)state;
	begin(&h);
	hang(&h);
	h.a->released = true;
	assert_int_equal(pf_ledger_set_released(h.agent.ledger, UUID, true, &err), 0);
	assert_int_equal(pf_carry_back(&h.agent, h.a, &err), 1);
	pf_gate_open(h.gate);
	assert_ptr_equal(take(&h), h.a);
	settle_a(&h);
	assert_file(&h.w, BASE "/vcpu0", MEMS, "0-2");
	assert_file(&h.w, BASE "/vcpu0", "cpuset.cpus", "2-6");
	assert_true(pf_ledger_released(h.agent.ledger, UUID));
	end(&h);
}

static void a_word_of_the_operator_during_a_release_counts(void **state)
{
	const enum pf_mode mode = PF_MODE_OBSERVE;
	enum pf_mode now = PF_MODE_GUARD;
	struct pf_err err = {};
	struct here h;

	(void)state;
	begin(&h);
	pf_carry_out(&h.agent, h.a);
	settle_a(&h);
	must(pf_ledger_set_released(h.agent.ledger, UUID, true, &err), &err);
	pf_gate_shut(h.gate, BASE "/vcpu0", MEMS);
	assert_int_equal(pf_carry_back(&h.agent, h.a, &err), 1);
	must(pf_ledger_set_released(h.agent.ledger, UUID, false, &err), &err);
	must(pf_ledger_set_mode(h.agent.ledger, UUID, &mode, &err), &err);
	pf_gate_open(h.gate);
	take(&h);
	assert_false(pf_ledger_released(h.agent.ledger, UUID));
	assert_true(pf_ledger_mode(h.agent.ledger, UUID, &now));
	assert_int_equal(now, PF_MODE_OBSERVE);
	end(&h);
}

/* ---- stopping ----------------------------------------------------------------------------- */

static void *open_soon(void *gate)
{
	usleep(300000);
	pf_gate_open(gate);
	return NULL;
}

static void a_stop_waits_for_what_ends_soon_and_takes_it_in(void **state)
{
	uint64_t latency = 0;
	pthread_t thread;
	struct here h;

	(void)state;
	begin(&h);
	remember_who_did_it(&h, AGO);
	hang(&h);
	assert_int_equal(pthread_create(&thread, NULL, open_soon, h.gate), 0);
	pf_carry_stop(&h.agent);
	pthread_join(thread, NULL);
	assert_null(h.a->job);
	assert_file(&h.w, BASE "/vcpu0", MEMS, "1");
	assert_file(&h.w, BASE "/vcpu0", "cpuset.cpus", "2-6"); /* not begun any more */
	assert_int_equal(recorded(&h, &latency), 1);
	end(&h);
}

/* In a process of its own, with which the thread ends that the kernel would hold. */
static void a_stop_does_not_wait_for_ever(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		struct here h;
		uint64_t began;

		begin(&h);
		hang(&h);
		began = pf_now_usec();
		pf_carry_stop(&h.agent);
		_exit(h.agent.workers || pf_now_usec() - began > UINT64_C(15000000));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void without_threads_the_loop_does_it_itself(void **state)
{
	struct here h;

	(void)state;
	begin(&h);
	assert_int_equal(pf_workers_free(&h.agent.workers), 0);
	pf_gate_shut(h.gate, BASE "/vcpu0", MEMS);
	pf_carry_out(&h.agent, h.a);
	assert_null(h.a->job);
	assert_held(&h.w);
	end(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_guests_are_repaired_while_memory_is_moved),
		cmocka_unit_test(
			threads_are_not_moved_while_memory_is_where_that_waits_with_the_lock),
		cmocka_unit_test(what_is_waited_for_is_told_and_nothing_else_is_begun),
		cmocka_unit_test(it_is_not_held_before_the_write_has_returned),
		cmocka_unit_test(what_is_done_meanwhile_is_not_said_to_be_repaired),
		cmocka_unit_test(a_failure_after_it_undoes_it),
		cmocka_unit_test(a_value_that_did_not_last_is_a_failure),
		cmocka_unit_test(another_promise_ends_it_and_what_was_done_stands),
		cmocka_unit_test(libvirt_at_work_ends_it_too),
		cmocka_unit_test(its_end_in_the_middle_leaves_nothing),
		cmocka_unit_test(releasing_waits_for_no_pages),
		cmocka_unit_test(what_a_release_could_not_put_back_is_told_until_it_could),
		cmocka_unit_test(released_in_the_middle_it_is_put_back_afterwards),
		cmocka_unit_test(a_word_of_the_operator_during_a_release_counts),
		cmocka_unit_test(a_stop_waits_for_what_ends_soon_and_takes_it_in),
		cmocka_unit_test(a_stop_does_not_wait_for_ever),
		cmocka_unit_test(without_threads_the_loop_does_it_itself),
	};

	return cmocka_run_group_tests_name("carry", tests, NULL, NULL);
}
