// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/model/wire.h"

#define STATUS "tests/unit/model/data/status.json"

static char *read_sample(void)
{
	struct pf_err err = {};
	char *text = NULL;

	if (pf_file_read(AT_FDCWD, STATUS, &text, &err) < 0)
		fail_msg("%s", err.text);
	return text;
}

static void a_status_reads_back_what_it_writes(void **state)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	pf_auto_free char *want = read_sample(), *got = NULL, *pretty = NULL;
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_wire_decode_status(want, strlen(want), &status, &err), 0);
	assert_int_equal(status.guest_count, 5);
	assert_string_equal(status.guests[4].name, "web01");
	assert_int_equal(status.guests[4].thread_count, 16);
	assert_int_equal(status.guests[1].source, PF_SOURCE_QEMU);
	assert_true(status.guests[2].released);
	assert_int_equal(status.guests[3].threads[0].on_cpu, -1);
	assert_int_equal(pf_wire_encode_status(&status, &got), 0);
	assert_int_equal(pf_wire_pretty(got, strlen(got), &pretty, &err), 0);
	assert_string_equal(pretty, want);
}

/* Whatever a broken peer sends, it is read or refused; the sanitizers look on. */
static void every_cut_of_a_status_is_refused(void **state)
{
	pf_auto_free char *text = read_sample();
	size_t len = strlen(text);

	(void)state;
	for (size_t cut = 0; cut < len; cut += 7) {
		pf_auto_free char *part = strndup(text, cut);
		struct pf_status status = {.guest_count = 77};
		struct pf_err err = {};

		assert_int_equal(pf_wire_decode_status(part, cut, &status, &err), -EBADMSG);
		assert_true(*err.text);
		assert_int_equal(status.guest_count, 77);
	}
}

static void a_status_with_wrong_bytes_never_crashes(void **state)
{
	static const char wrong[] = "\"{}[],:0x-\x80\x01";
	pf_auto_free char *text = read_sample();
	size_t len = strlen(text), refused = 0;

	(void)state;
	srandom(3);
	for (int round = 0; round < 3000; round++) {
		PF_CLEANUP(pf_status_clear) struct pf_status status = {};
		size_t at = (size_t)random() % len;
		char saved = text[at];
		int r;

		text[at] = wrong[(size_t)random() % (sizeof(wrong) - 1)];
		r = pf_wire_decode_status(text, len, &status, NULL);
		assert_true(r == 0 || r == -EBADMSG);
		refused += r != 0;
		text[at] = saved;
	}
	assert_true(refused > 1000);
}

#define HOST                                                                                       \
	"\"host\":{\"hostname\":\"h\",\"kernel\":\"k\",\"cpus_online\":\"0\","               \
	"\"nodes_online\":\"0\"}"
#define GUEST                                                                                      \
	"\"uuid\":\"u\",\"name\":\"n\",\"pid\":1,\"source\":\"libvirt\",\"mode\":\"enforce\","     \
	"\"isolation\":\"shared\""

static void a_wrong_shape_is_named(void **state)
{
	static const char *const bad[][2] = {
		{"[]", "not a JSON object"},
		{"", "not JSON"},
		{"{}", "'hostname' is missing"},
		{"{\"host\":[]}", "'hostname' is missing"},
		{"{" HOST ",\"guests\":{}}", "'guests' is missing or not an array"},
		{"{" HOST ",\"guests\":[7]}", "guests[0]: 'uuid' is missing"},
		{"{" HOST ",\"guests\":[{" GUEST "}]}", "guests[0]: 'state' is missing"},
		{"{" HOST ",\"guests\":[{" GUEST ",\"state\":\"fine\"}]}", "'state' is missing or"},
		{"{" HOST ",\"guests\":[{" GUEST ",\"state\":\"held\",\"threads\":[{}]}]}",
		 "guests[0]: threads[0]: 'tid'"},
		{"{" HOST ",\"guests\":[{" GUEST ",\"state\":\"held\",\"threads\":[{\"tid\":-1}]}]}",
		 "'tid' is missing or not a number in its range"},
		{"{" HOST ",\"guests\":[{" GUEST ",\"state\":\"held\",\"findings\":"
		 "[{\"severity\":\"bad\",\"text\":\"\"}]}]}", "'severity' is 'bad'"},
		{"{" HOST ",\"guests\":[{" GUEST ",\"state\":\"held\",\"memory\":"
		 "[{\"cell\":0,\"mode\":\"strict\",\"nodes\":\"0-\",\"memory_kib\":1}]}]}",
		 "'nodes' is '0-'"},
		{"{" HOST ",\"guests\":[{" GUEST ",\"state\":\"held\",\"released\":1}]}",
		 "'released' is missing or not true or false"},
		{"{" HOST ",\"guests\":[{\"uuid\":\"u\",\"name\":\"n\",\"pid\":1,"
		 "\"source\":\"qemu\",\"mode\":\"enforce\",\"isolation\":\"alone\"}]}",
		 "'isolation' is missing or not an isolation"},
		{"{" HOST ",\"guests\":[{\"uuid\":\"u\",\"name\":\"n\",\"pid\":1,"
		 "\"source\":\"qemu\",\"mode\":\"harder\",\"isolation\":\"shared\"}]}",
		 "'mode' is missing or not a mode"},
		{"{" HOST ",\"capabilities\":[]}", "'capabilities'"},
		{"{" HOST ",\"capabilities\":{\"x\":{\"reason\":1}}}", "'reason'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pf_status status = {};
		struct pf_err err = {};

		assert_int_equal(pf_wire_decode_status(bad[i][0], strlen(bad[i][0]), &status, &err),
				 -EBADMSG);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("'%s' does not say '%s'", err.text, bad[i][1]);
	}
}

static void unknown_keys_and_missing_lists_are_fine(void **state)
{
	static const char text[] = "{" HOST ",\"tomorrow\":{},\"guests\":[{" GUEST
				   ",\"state\":\"held\",\"new\":[1]}]}";
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};

	(void)state;
	assert_int_equal(pf_wire_decode_status(text, strlen(text), &status, NULL), 0);
	assert_int_equal(status.guest_count, 1);
	assert_int_equal(status.guests[0].thread_count, 0);
	assert_null(status.libvirt);
}

/* The kernel cuts comm at 15 bytes, in the middle of a character when it comes to that. */
static void text_that_is_no_utf8_is_mended(void **state)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {}, back = {};
	pf_auto_free char *text = NULL;
	struct pf_guest_status *guest = pf_append(&status.guests, &status.guest_count);
	struct pf_thread_status *thread = pf_append(&guest->threads, &guest->thread_count);

	(void)state;
	strcpy(thread->comm, "abcdefghijklm\xc3");
	thread->on_cpu = thread->on_node = -1;
	guest->name = strdup("\xff\xed\xa0\x80\xc0\x80ok\xf4\x90\x80\x80");
	assert_int_equal(pf_wire_encode_status(&status, &text), 0);
	assert_int_equal(pf_wire_decode_status(text, strlen(text), &back, NULL), 0);
	assert_string_equal(back.guests[0].threads[0].comm, "abcdefghijklm");
	assert_non_null(strstr(text, "\"comm\":\"abcdefghijklm\xef\xbf\xbd\""));
	assert_non_null(strstr(back.guests[0].name, "ok"));
}

static struct pf_step *add_step(struct pf_plan *plan, enum pf_step_kind kind, const char *value)
{
	struct pf_step *step = pf_append(&plan->steps, &plan->count);

	step->kind = kind;
	step->act = (unsigned int)plan->count;
	step->group = strdup("/machine.slice/x/libvirt/vcpu0");
	step->value = value ? strdup(value) : NULL;
	step->role = (struct pf_role){PF_ROLE_VCPU, 3};
	return step;
}

static void fill_plan(struct pf_plan *plan)
{
	struct pf_step *step;

	strcpy(plan->uuid, "00000001-0000-4000-8000-000000000000");
	plan->name = strdup("web 01");
	add_step(plan, PF_STEP_MAKE_GROUP, NULL);
	add_step(plan, PF_STEP_CONTROLLERS, "+cpuset +cpu");
	step = add_step(plan, PF_STEP_KNOB, "8");
	step->knob = strdup("cpuset.cpus");
	step->was = strdup("");
	step = add_step(plan, PF_STEP_UNIT_KNOB, "2048");
	step->knob = strdup("cpu.weight");
	step->unit = strdup("machine-qemu\\x2d1\\x2dweb.scope");
	step = add_step(plan, PF_STEP_ATTACH, NULL);
	step->tid = 99;
	step = add_step(plan, PF_STEP_AFFINITY, NULL);
	step->tid = 99;
	pf_set_add_range(&step->cpus, 8, 9);
}

static void a_plan_reads_back_what_it_writes(void **state)
{
	PF_CLEANUP(pf_plans_clear) struct pf_plans plans = {};
	PF_CLEANUP(pf_plan_clear) struct pf_plan plan = {};
	pf_auto_free char *text = NULL, *again = NULL;
	struct pf_err err = {};

	(void)state;
	fill_plan(&plan);
	assert_int_equal(pf_wire_encode_plans(&plan, 1, &text), 0);
	assert_int_equal(pf_wire_decode_plans(text, strlen(text), &plans, &err), 0);
	assert_int_equal(plans.count, 1);
	assert_int_equal(plans.items[0].count, 6);
	assert_string_equal(plans.items[0].steps[2].was, "");
	assert_null(plans.items[0].steps[3].was);
	assert_int_equal(pf_wire_encode_plans(plans.items, plans.count, &again), 0);
	assert_string_equal(again, text);
	assert_non_null(strstr(text, "\"text\":\"set affinity of vcpu 3 (thread 99) to 8-9\""));
}

static void no_plan_at_all_is_an_empty_array(void **state)
{
	PF_CLEANUP(pf_plans_clear) struct pf_plans plans = {};
	pf_auto_free char *text = NULL;

	(void)state;
	assert_int_equal(pf_wire_encode_plans(NULL, 0, &text), 0);
	assert_string_equal(text, "{\"plans\":[]}");
	assert_int_equal(pf_wire_decode_plans(text, strlen(text), &plans, NULL), 0);
	assert_int_equal(plans.count, 0);
}

static void a_step_without_what_its_kind_needs_is_refused(void **state)
{
	static const char *const steps[][2] = {
		{"\"kind\":\"knob\",\"group\":\"g\",\"value\":\"v\"", "'knob'"},
		{"\"kind\":\"knob\",\"group\":\"g\",\"knob\":\"k\"", "'value'"},
		{"\"kind\":\"make-group\"", "'group'"},
		{"\"kind\":\"controllers\",\"group\":\"g\"", "'value'"},
		{"\"kind\":\"attach\"", "'group'"},
		{"\"kind\":\"affinity\"", "'cpus'"},
		{"\"kind\":\"explode\"", "'kind'"},
		{"\"group\":\"g\"", "'kind'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct pf_plans plans = {};
		struct pf_err err = {};
		char text[256];

		snprintf(text, sizeof(text),
			 "{\"plans\":[{\"guest\":{\"uuid\":\"u\",\"name\":\"n\"},\"steps\":"
			 "[{%s,\"act\":0,\"role\":\"emulator\"}]}]}", steps[i][0]);
		assert_int_equal(pf_wire_decode_plans(text, strlen(text), &plans, &err), -EBADMSG);
		if (!strstr(err.text, steps[i][1]))
			fail_msg("'%s' does not say %s", err.text, steps[i][1]);
	}
}

static void an_error_carries_its_words(void **state)
{
	pf_auto_free char *text = NULL, *words = NULL;

	(void)state;
	assert_int_equal(pf_wire_encode_error("no guest \"x\"\n", &text), 0);
	assert_string_equal(text, "{\"error\":\"no guest \\\"x\\\"\\n\"}");
	words = pf_wire_decode_error(text, strlen(text));
	assert_string_equal(words, "no guest \"x\"\n");
	assert_null(pf_wire_decode_error("{\"error\":1}", 11));
	assert_null(pf_wire_decode_error("<html>", 6));
}

static void a_host_says_whom_each_cpu_is_promised_to(void **state)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	PF_CLEANUP(pf_host_clear) struct pf_host host = {};
	pf_auto_free char *sample = read_sample(), *with = NULL, *without = NULL;
	struct pf_host_cpu *cpu = pf_append(&host.cpus, &host.cpu_count);

	(void)state;
	cpu->cpu = 16;
	cpu->node = cpu->package = cpu->core = -1;
	assert_int_equal(pf_wire_decode_status(sample, strlen(sample), &status, NULL), 0);
	assert_int_equal(pf_wire_encode_host(&host, &status, &with), 0);
	assert_non_null(strstr(with, "\"promised_to\":["
				     "{\"uuid\":\"00000002-0000-4000-8000-000000000000\","
				     "\"name\":\"db01\",\"roles\":[\"emulator\"]},"
				     "{\"uuid\":\"00000001-0000-4000-8000-000000000000\","
				     "\"name\":\"web01\",\"roles\":"
				     "[\"emulator\",\"vcpu 1\",\"helper\"]}]"));
	assert_int_equal(pf_wire_encode_host(&host, NULL, &without), 0);
	assert_null(strstr(without, "promised_to"));
	assert_non_null(strstr(without, "\"node\":null"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_reads_back_what_it_writes),
		cmocka_unit_test(every_cut_of_a_status_is_refused),
		cmocka_unit_test(a_status_with_wrong_bytes_never_crashes),
		cmocka_unit_test(a_wrong_shape_is_named),
		cmocka_unit_test(unknown_keys_and_missing_lists_are_fine),
		cmocka_unit_test(text_that_is_no_utf8_is_mended),
		cmocka_unit_test(a_plan_reads_back_what_it_writes),
		cmocka_unit_test(no_plan_at_all_is_an_empty_array),
		cmocka_unit_test(a_step_without_what_its_kind_needs_is_refused),
		cmocka_unit_test(an_error_carries_its_words),
		cmocka_unit_test(a_host_says_whom_each_cpu_is_promised_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
