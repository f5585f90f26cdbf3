// SPDX-License-Identifier: GPL-2.0-or-later
/* The client against the real API with made-up answers, which a child process serves. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/cli/client.h"
#include "agent/serve/api.h"

static char dir[64];
static char path[128];
static pid_t server;

static int echo(const char *what, const char *guest, char **body, struct pf_err *err)
{
	if (guest && strcmp(guest, "nobody") == 0)
		return pf_fail_plain(err, ENOENT, "no running guest is called '%s'", guest);
	if (asprintf(body, "{\"%s\":\"%s\"}", what, guest ?: "all") < 0)
		return pf_fail(err, ENOMEM, "answer");
	return 0;
}

static int echo_status(void *ctx, const char *guest, char **body, struct pf_err *err)
{
	(void)ctx;
	return echo("status", guest, body, err);
}

static int echo_host(void *ctx, char **body, struct pf_err *err)
{
	(void)ctx;
	return echo("host", NULL, body, err);
}

static int echo_hold(void *ctx, const char *guest, char **body, struct pf_err *err)
{
	(void)ctx;
	return echo("hold", guest, body, err);
}

static int echo_mode(void *ctx, const char *guest, const enum pf_mode *mode, char **body,
		     struct pf_err *err)
{
	(void)ctx;
	return echo(mode ? pf_mode_name(*mode) : "default", guest, body, err);
}

static ssize_t read_once(void *ctx, char *buf, size_t size)
{
	char *text = ctx;
	size_t len = strlen(text);

	if (!len)
		return -ENODATA;
	assert_true(len < size);
	memcpy(buf, text, len);
	*text = '\0';
	return (ssize_t)len;
}

static int echo_audit(void *ctx, const struct pf_event_filter *filter, struct pf_api_stream *out,
		      struct pf_err *err)
{
	char *text = NULL;

	(void)ctx, (void)err;
	if (filter->last == 7 && asprintf(&text, "last 7 of %s", filter->guest ?: "all") < 0)
		return -ENOMEM;
	*out = (struct pf_api_stream){read_once, free, text ?: strdup("")};
	return 0;
}

static const struct pf_api_ops echo_ops = {echo_status, echo_status, echo_host, echo_hold,
					   echo_hold, echo_mode, echo_audit};

static int anybody(int fd, struct pf_peer *out)
{
	(void)fd;
	*out = (struct pf_peer){.uid = 0};
	return 0;
}

static void serve(int ready)
{
	struct pf_config config = {.socket = path, .socket_group = (char *)"", .others_read = true};
	struct pf_api *api = NULL;
	sd_event *event = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sd_event_new(&event) < 0 ||
	    pf_api_new(&config, event, &echo_ops, NULL, &api, NULL) < 0)
		_exit(1);
	pf_api_set_identify(api, anybody);
	if (write(ready, "!", 1) != 1)
		_exit(1);
	sd_event_loop(event);
	_exit(0);
}

static int set_up(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	strcpy(dir, "/tmp/pinfold-client-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	assert_int_equal(pipe(ready), 0);
	server = fork();
	if (server == 0)
		serve(ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static void an_answer_comes_back_whole(void **state)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply all = {}, one = {};
	struct pf_err err = {};

	(void)state;
	/* A proxy in the environment is not asked. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	if (pf_client_get(path, "status", NULL, &all, &err) < 0)
		fail_msg("%s", err.text);
	unsetenv("http_proxy");
	assert_string_equal(all.body, "{\"status\":\"all\"}");
	assert_int_equal(all.len, strlen(all.body));
	assert_int_equal(pf_client_get(path, "status", "a b&guest=c", &one, &err), 0);
	assert_string_equal(one.body, "{\"status\":\"a b&guest=c\"}");
}

static void any_name_reaches_the_agent_as_it_is(void **state)
{
	static const char *const names[] = {"web", "..", "a/b", "100%", "a+b c", "\xc3\xa4?#",
					    "a%2Fb", ";&=", "\xff"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
		struct pf_err err = {};
		char want[64];

		if (pf_client_post(path, names[i], "hold", &reply, &err) < 0)
			fail_msg("%s: %s", names[i], err.text);
		snprintf(want, sizeof(want), "{\"hold\":\"%s\"}", names[i]);
		assert_string_equal(reply.body, want);
	}
}

static void a_mode_reaches_the_agent(void **state)
{
	static const char *const modes[] = {"observe", "enforce", "guard", "default"};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
		char verb[32], want[64];
		struct pf_err err = {};

		snprintf(verb, sizeof(verb), "mode?mode=%s", modes[i]);
		if (pf_client_post(path, "a/b", verb, &reply, &err) < 0)
			fail_msg("%s: %s", modes[i], err.text);
		snprintf(want, sizeof(want), "{\"%s\":\"a/b\"}", modes[i]);
		assert_string_equal(reply.body, want);
	}
}

static void a_refusal_has_the_agents_words(void **state)
{
	struct pf_reply reply = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_client_post(path, "nobody", "hold", &reply, &err), -EREMOTEIO);
	assert_string_equal(err.text, "no running guest is called 'nobody'");
	assert_null(reply.body);
}

static void an_agent_that_is_not_there_is_out_of_reach(void **state)
{
	struct pf_reply reply = {};
	struct pf_err err = {};

	(void)state;
	assert_int_equal(pf_client_get("/nonexistent.sock", "status", NULL, &reply, &err),
			 -ENOTCONN);
	assert_non_null(strstr(err.text, "/nonexistent.sock: No such file or directory"));
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	assert_int_equal(pf_client_get(path, "status", NULL, &reply, &err), -ENOTCONN);
	assert_non_null(strstr(err.text, "Connection refused"));
	assert_non_null(strstr(err.text, "is pinfoldd running?"));
}

static void a_query_carries_its_arguments_and_may_have_no_answer(void **state)
{
	const struct pf_argument some[] = {{"guest", "a b&c=d"}, {"kind", NULL}, {"last", "7"}, {}};
	const struct pf_argument none[] = {{}}, bad[] = {{"kind", "odd"}, {}};
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {}, empty = {};
	struct pf_reply refused = {};
	struct pf_err err = {};

	(void)state;
	if (pf_client_query(path, "audit", some, &reply, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(reply.body, "last 7 of a b&c=d");
	assert_int_equal(pf_client_query(path, "audit", none, &empty, &err), 0);
	assert_int_equal(empty.len, 0);
	assert_int_equal(pf_client_query(path, "audit", bad, &refused, &err), -EREMOTEIO);
	assert_non_null(strstr(err.text, "no kind 'odd'"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_comes_back_whole),
		TEST(any_name_reaches_the_agent_as_it_is),
		TEST(a_mode_reaches_the_agent),
		TEST(a_refusal_has_the_agents_words),
		TEST(a_query_carries_its_arguments_and_may_have_no_answer),
		TEST(an_agent_that_is_not_there_is_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
