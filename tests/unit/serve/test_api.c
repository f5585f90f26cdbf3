// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API on a real socket, with made-up answers. Client and server share this one thread: the
 * client's socket is non-blocking and the loop runs between its steps, so a server that blocked
 * on a client would hang the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/cleanup.h"
#include "agent/serve/api.h"

struct place {
	char dir[64];
	char socket[128];
	struct pf_config config;
	sd_event *event;
	struct pf_api *api;
	char calls[512]; /* what was asked: "status(web) " */
	int fail;	 /* the next answer is this errno */
	size_t body_size; /* of an answer; 0: "{}" */
	size_t streamed;  /* bytes that streams were asked for */
	int closed;	  /* streams */
};

static struct pf_peer fake_peer;
static int fake_result;

static int fake_identify(int fd, struct pf_peer *out)
{
	(void)fd;
	*out = fake_peer;
	return fake_result;
}

static int reply(struct place *place, const char *what, const char *guest, char **body,
		 struct pf_err *err)
{
	size_t used = strlen(place->calls);

	snprintf(place->calls + used, sizeof(place->calls) - used, "%s(%s) ", what,
		 guest ?: "all");
	if (place->fail)
		return pf_fail_plain(err, place->fail, "no \"luck\"");
	if (place->body_size) {
		*body = malloc(place->body_size + 1);
		memset(*body, 'x', place->body_size);
		(*body)[place->body_size] = '\0';
	} else {
		*body = strdup("{}");
	}
	return 0;
}

static int fake_status(void *ctx, const char *guest, char **body, struct pf_err *err)
{
	return reply(ctx, "status", guest, body, err);
}

static int fake_plan(void *ctx, const char *guest, char **body, struct pf_err *err)
{
	return reply(ctx, "plan", guest, body, err);
}

static int fake_host(void *ctx, char **body, struct pf_err *err)
{
	return reply(ctx, "host", NULL, body, err);
}

static int fake_hold(void *ctx, const char *guest, char **body, struct pf_err *err)
{
	return reply(ctx, "hold", guest, body, err);
}

static int fake_release(void *ctx, const char *guest, char **body, struct pf_err *err)
{
	return reply(ctx, "release", guest, body, err);
}

static int fake_mode(void *ctx, const char *guest, const enum pf_mode *mode, char **body,
		     struct pf_err *err)
{
	char verb[32];

	snprintf(verb, sizeof(verb), "mode %s", mode ? pf_mode_name(*mode) : "default");
	return reply(ctx, verb, guest, body, err);
}

/* A stream of numbered lines, as long as place->body_size says. */
struct fake_stream {
	struct place *place;
	size_t sent;
};

static ssize_t fake_read(void *ctx, char *buf, size_t size)
{
	struct fake_stream *stream = ctx;
	size_t len = stream->place->body_size - stream->sent;

	if (!len)
		return -ENODATA;
	len = len < size ? len : size;
	memset(buf, 'y', len);
	stream->sent += len;
	stream->place->streamed += len;
	return (ssize_t)len;
}

static void fake_close(void *ctx)
{
	((struct fake_stream *)ctx)->place->closed++;
	free(ctx);
}

static int fake_audit(void *ctx, const struct pf_event_filter *filter, struct pf_api_stream *out,
		      struct pf_err *err)
{
	struct fake_stream *stream = calloc(1, sizeof(*stream));
	struct place *place = ctx;

	if (place->fail) {
		free(stream);
		return pf_fail_plain(err, place->fail, "no \"luck\"");
	}
	snprintf(place->calls, sizeof(place->calls), "audit(%s %s after %llu) ",
		 filter->guest ?: "all", filter->has_kind ? pf_event_kind_name(filter->kind) : "all",
		 (unsigned long long)filter->after);
	stream->place = place;
	*out = (struct pf_api_stream){fake_read, fake_close, stream};
	return 0;
}

static const struct pf_api_ops fake_ops = {fake_status, fake_plan, fake_host, fake_hold,
					   fake_release, fake_mode, fake_audit};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct pf_err err = {};

	strcpy(place->dir, "/tmp/pinfold-api-XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	snprintf(place->socket, sizeof(place->socket), "%s/api.sock", place->dir);
	assert_int_equal(pf_config_init(&place->config), 0);
	free(place->config.socket);
	place->config.socket = strdup(place->socket);
	free(place->config.socket_group);
	place->config.socket_group = strdup("no such group here");
	assert_true(sd_event_new(&place->event) >= 0);
	if (pf_api_new(&place->config, place->event, &fake_ops, place, &place->api, &err) < 0)
		fail_msg("%s", err.text);
	fake_peer = (struct pf_peer){.uid = 0};
	fake_result = 0;
	pf_api_set_identify(place->api, fake_identify);
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;
	char command[128];

	pf_api_free(&place->api);
	assert_int_equal(access(place->socket, F_OK), -1);
	sd_event_unref(place->event);
	pf_config_clear(&place->config);
	snprintf(command, sizeof(command), "rm -rf '%s'", place->dir);
	free(place);
	return system(command);
}

/* Runs the loop for a short while. Each turn must be quick: nothing in it may wait for a client. */
static void turn(struct place *place)
{
	for (int i = 0; i < 5; i++)
		assert_true(sd_event_run(place->event, 2000) >= 0);
}

static int dial(const struct place *place)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, place->socket);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail_msg("connect: %s", strerror(errno));
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Everything the server says until it closes or says no more. Return: malloc'ed. */
static char *listen_to(struct place *place, int fd)
{
	size_t size = 1 << 20, len = 0;
	char *text = malloc(size);

	for (int idle = 0; idle < 100 && len < size - 1;) {
		ssize_t n = recv(fd, text + len, size - 1 - len, 0);

		if (n == 0)
			break;
		if (n > 0) {
			len += (size_t)n;
			continue;
		}
		assert_true(errno == EAGAIN || errno == ECONNRESET);
		if (errno == ECONNRESET)
			break;
		turn(place);
		idle++;
	}
	text[len] = '\0';
	return text;
}

/* One whole request. Return: the status; *@body the text behind the head, malloc'ed. */
static int ask(struct place *place, const char *method, const char *path, char **body)
{
	pf_auto_close int fd = dial(place);
	pf_auto_free char *request = NULL, *answer = NULL;
	char *end;
	int status = 0;

	assert_true(asprintf(&request, "%s %s HTTP/1.1\r\nHost: pinfold\r\nContent-Length: 0\r\n"
				       "Connection: close\r\n\r\n",
			     method, path) > 0);
	say(fd, request);
	answer = listen_to(place, fd);
	sscanf(answer, "HTTP/1.1 %d", &status);
	end = strstr(answer, "\r\n\r\n");
	if (body)
		*body = strdup(end ? end + 4 : "");
	return status;
}

static void assert_asked(struct place *place, const char *method, const char *path, int status,
			 const char *calls)
{
	int got;

	place->calls[0] = '\0';
	got = ask(place, method, path, NULL);
	if (got != status || strcmp(place->calls, calls) != 0)
		fail_msg("%s %s: status %d, calls '%s'", method, path, got, place->calls);
}

static void every_route_reaches_its_callback(void **state)
{
	struct place *place = *state;

	assert_asked(place, "GET", "/v1/status", 200, "status(all) ");
	assert_asked(place, "GET", "/v1/status?guest=web", 200, "status(web) ");
	assert_asked(place, "GET", "/v1/plan", 200, "plan(all) ");
	assert_asked(place, "GET", "/v1/plan?guest=a%20b%26c", 200, "plan(a b&c) ");
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
	assert_asked(place, "HEAD", "/v1/host", 200, "host(all) ");
	assert_asked(place, "POST", "/v1/guests/web/hold", 200, "hold(web) ");
	assert_asked(place, "POST", "/v1/guests/web/release", 200, "release(web) ");
	assert_asked(place, "POST", "/v1/guests/a%2Fb%20%C3%A4/release", 200,
		     "release(a/b \xc3\xa4) ");
	assert_asked(place, "POST", "/v1/guests/web/mode?mode=guard", 200, "mode guard(web) ");
	assert_asked(place, "POST", "/v1/guests/web/mode?mode=default", 200,
		     "mode default(web) ");
	/* "+" is itself, in a name as in a query (RFC 3986). */
	assert_asked(place, "POST", "/v1/guests/c++/hold", 200, "hold(c++) ");
}

static void what_is_not_there_is_404_and_the_wrong_method_405(void **state)
{
	struct place *place = *state;

	assert_asked(place, "GET", "/", 404, "");
	assert_asked(place, "GET", "/v2/status", 404, "");
	assert_asked(place, "POST", "/v1/guests/web/destroy", 404, "");
	assert_asked(place, "POST", "/v1/status", 405, "");
	assert_asked(place, "DELETE", "/v1/status", 405, "");
	assert_asked(place, "GET", "/v1/guests/web/hold", 405, "");
	assert_asked(place, "GET", "/v1/guests/web/mode?mode=guard", 405, "");
	assert_asked(place, "PUT", "/v1/guests/web/release", 405, "");
}

static void a_name_that_cannot_be_is_400(void **state)
{
	struct place *place = *state;

	assert_asked(place, "GET", "/v1/status?guest=", 400, "");
	assert_asked(place, "POST", "/v1/guests/web/mode", 400, "");
	assert_asked(place, "POST", "/v1/guests/web/mode?mode=", 400, "");
	assert_asked(place, "POST", "/v1/guests/web/mode?mode=Guard", 400, "");
	assert_asked(place, "POST", "/v1/guests/web%00x/release", 400, "");
	assert_asked(place, "GET", "/v1/status?guest=web%00", 400, "");
}

static void a_failing_callback_answers_with_its_words(void **state)
{
	static const int codes[][2] = {{ENOENT, 404}, {EINVAL, 400}, {EALREADY, 409},
				       {EAGAIN, 503}, {EIO, 500}};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		pf_auto_free char *body = NULL;

		place->fail = codes[i][0];
		assert_int_equal(ask(place, "POST", "/v1/guests/web/hold", &body), codes[i][1]);
		assert_string_equal(body, "{\"error\":\"no \\\"luck\\\"\"}");
	}
}

/* The group of the second API is this process's own, as far as anyone tells it. */
static void who_may_what(void **state)
{
	struct place *place = *state;

	fake_peer = (struct pf_peer){.uid = 1000, .gid = 1000};
	assert_asked(place, "GET", "/v1/status", 403, "");
	assert_asked(place, "POST", "/v1/guests/web/hold", 403, "");
	fake_result = -EPERM;
	fake_peer.uid = 0;
	assert_asked(place, "GET", "/v1/status", 403, "");
}

static void restart(struct place *place, const char *group, bool others_read)
{
	struct pf_err err = {};

	pf_api_free(&place->api);
	free(place->config.socket_group);
	place->config.socket_group = strdup(group);
	place->config.others_read = others_read;
	if (pf_api_new(&place->config, place->event, &fake_ops, place, &place->api, &err) < 0)
		fail_msg("%s", err.text);
	pf_api_set_identify(place->api, fake_identify);
}

static void the_group_may_change_and_others_read_when_told(void **state)
{
	struct place *place = *state;
	struct stat st;

	/* "root" is the one group that every machine has: gid 0. */
	restart(place, "root", false);
	assert_int_equal(stat(place->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	fake_peer = (struct pf_peer){.uid = 1000, .gid = 1000, .groups = {4, 0}, .group_count = 2};
	assert_asked(place, "POST", "/v1/guests/web/hold", 200, "hold(web) ");
	assert_asked(place, "GET", "/v1/status", 200, "status(all) ");

	restart(place, "root", true);
	assert_int_equal(stat(place->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	fake_peer = (struct pf_peer){.uid = 1000, .gid = 1000};
	assert_asked(place, "GET", "/v1/status", 200, "status(all) ");
	assert_asked(place, "POST", "/v1/guests/web/hold", 403, "");
}

/* With the real judge: the kernel says who this process is. */
static void the_kernel_names_this_process(void **state)
{
	struct place *place = *state;
	int want = geteuid() == 0 ? 200 : 403;

	pf_api_set_identify(place->api, pf_peer_read);
	assert_asked(place, "GET", "/v1/status", want, want == 200 ? "status(all) " : "");
}

static void the_record_is_asked_for_with_its_filter(void **state)
{
	struct place *place = *state;
	pf_auto_free char *body = NULL;

	place->body_size = 100000;
	assert_asked(place, "GET", "/v1/audit", 200, "audit(all all after 0) ");
	assert_asked(place, "GET", "/v1/audit?guest=a%20b&kind=escape&after=7", 200,
		     "audit(a b escape after 7) ");
	assert_int_equal(place->streamed, 200000);
	assert_int_equal(place->closed, 2);
	assert_asked(place, "POST", "/v1/audit", 405, "");
	assert_asked(place, "GET", "/v1/audit?after=-1", 400, "");
	assert_int_equal(ask(place, "GET", "/v1/audit?colour=red", &body), 400);
	assert_string_equal(body, "{\"error\":\"no filter 'colour'\"}");
	place->fail = EAGAIN;
	assert_asked(place, "GET", "/v1/audit", 503, "");
	assert_int_equal(place->closed, 2);
}

/* No more of a long answer is made than its reader takes, and what is left goes with him. */
static void a_reader_who_stops_costs_little_and_keeps_nobody_waiting(void **state)
{
	struct place *place = *state;
	int slow = dial(place);
	size_t streamed;

	place->body_size = (size_t)1 << 30;
	say(slow, "GET /v1/audit HTTP/1.1\r\nHost: p\r\n\r\n");
	for (int i = 0; i < 200; i++)
		turn(place);
	streamed = place->streamed;
	assert_in_range(streamed, 1, 16 << 20);
	place->body_size = 0;
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
	assert_int_equal(place->streamed, streamed);
	assert_int_equal(place->closed, 0);
	close(slow);
	for (int i = 0; i < 10; i++)
		turn(place);
	assert_int_equal(place->closed, 1);
}

static void a_slow_client_keeps_nobody_waiting(void **state)
{
	struct place *place = *state;
	pf_auto_close int slow = dial(place);
	pf_auto_free char *answer = NULL;

	say(slow, "GET /v1/sta");
	turn(place);
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
	say(slow, "tus HTTP/1.1\r\nHost: p\r\n");
	assert_asked(place, "GET", "/v1/plan", 200, "plan(all) ");
	place->calls[0] = '\0';
	say(slow, "Connection: close\r\n\r\n");
	answer = listen_to(place, slow);
	assert_non_null(strstr(answer, "200 OK"));
	assert_string_equal(place->calls, "status(all) ");
}

/* 20 MB do not fit into any socket buffer: the rest waits until that client reads. */
static void a_client_that_does_not_read_keeps_nobody_waiting(void **state)
{
	struct place *place = *state;
	pf_auto_close int deaf = dial(place);
	size_t total = 0;
	char part[65536];

	place->body_size = 20000000;
	say(deaf, "GET /v1/status HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
	turn(place);
	place->body_size = 0;
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
	for (int idle = 0; idle < 100;) {
		ssize_t n = recv(deaf, part, sizeof(part), 0);

		if (n == 0)
			break;
		if (n > 0) {
			total += (size_t)n;
			continue;
		}
		turn(place);
		idle++;
	}
	assert_true(total > 20000000);
}

static void a_client_that_hangs_up_does_no_harm(void **state)
{
	struct place *place = *state;

	place->body_size = 5000000;
	for (int i = 0; i < 20; i++) {
		pf_auto_close int fd = dial(place);

		say(fd, i % 2 ? "GET /v1/status HTTP/1.1\r\nHost: p\r\n\r\n" : "GE");
		if (i % 3)
			turn(place);
	}
	place->body_size = 0;
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
}

static void too_much_is_refused(void **state)
{
	struct place *place = *state;
	pf_auto_free char *long_path = malloc(70001), *request = NULL, *answer = NULL;
	pf_auto_close int fd = dial(place);

	memset(long_path, 'a', 70000);
	long_path[70000] = '\0';
	assert_true(asprintf(&request, "GET /v1/%s HTTP/1.1\r\nHost: p\r\n\r\n", long_path) > 0);
	say(fd, request);
	answer = listen_to(place, fd);
	assert_null(strstr(answer, "200 OK"));
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
}

static void a_body_is_swallowed_up_to_its_limit(void **state)
{
	struct place *place = *state;

	for (size_t size = 4096; size <= 8192; size += 4096) {
		pf_auto_free char *body = calloc(1, size + 1), *request = NULL, *answer = NULL;
		pf_auto_close int fd = dial(place);

		memset(body, 'b', size);
		assert_true(asprintf(&request,
				     "POST /v1/guests/web/hold HTTP/1.1\r\nHost: p\r\n"
				     "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
				     size, body) > 0);
		place->calls[0] = '\0';
		say(fd, request);
		answer = listen_to(place, fd);
		if (size == 4096) {
			assert_non_null(strstr(answer, "200 OK"));
			assert_string_equal(place->calls, "hold(web) ");
		} else {
			assert_null(strstr(answer, "200 OK"));
			assert_string_equal(place->calls, "");
		}
	}
}

/* 64 idle connections take all places; the 65th is served once one of them goes. */
static void connections_have_a_limit(void **state)
{
	struct place *place = *state;
	int idle[64];

	for (int i = 0; i < 64; i++) {
		idle[i] = dial(place);
		if (i % 16 == 15)
			turn(place);
	}
	assert_int_equal(ask(place, "GET", "/v1/host", NULL), 0);
	for (int i = 0; i < 64; i++)
		close(idle[i]);
	turn(place);
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
}

static void rubbish_is_no_request(void **state)
{
	static const char *const rubbish[] = {"\r\n\r\n", "\x16\x03\x01\x02", "GET\r\n\r\n",
					      "GET /v1/status\r\n\r\n",
					      "GET /v1/status HTTP/9.9\r\n\r\n",
					      "POST /v1/guests/web/hold HTTP/1.1\r\nHost: p\r\n"
					      "Content-Length: -5\r\n\r\n"};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
		pf_auto_close int fd = dial(place);

		say(fd, rubbish[i]);
		turn(place);
	}
	assert_string_equal(place->calls, "");
	assert_asked(place, "GET", "/v1/host", 200, "host(all) ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_route_reaches_its_callback),
		TEST(what_is_not_there_is_404_and_the_wrong_method_405),
		TEST(a_name_that_cannot_be_is_400),
		TEST(a_failing_callback_answers_with_its_words),
		TEST(who_may_what),
		TEST(the_group_may_change_and_others_read_when_told),
		TEST(the_kernel_names_this_process),
		TEST(the_record_is_asked_for_with_its_filter),
		TEST(a_reader_who_stops_costs_little_and_keeps_nobody_waiting),
		TEST(a_slow_client_keeps_nobody_waiting),
		TEST(a_client_that_does_not_read_keeps_nobody_waiting),
		TEST(a_client_that_hangs_up_does_no_harm),
		TEST(too_much_is_refused),
		TEST(a_body_is_swallowed_up_to_its_limit),
		TEST(connections_have_a_limit),
		TEST(rubbish_is_no_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
