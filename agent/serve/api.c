// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/serve/api.h"

#include <errno.h>
#include <grp.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/model/wire.h"
#include "agent/serve/listen.h"
#include "agent/serve/route.h"

#define CONNECTIONS_MAX 64
#define SILENCE_SECONDS 10
#define MEMORY_PER_CONNECTION (32 * 1024) /* request line and headers of one client */
#define BODY_MAX 4096			  /* of a POST; none of ours has one */
#define STREAM_BLOCK (16 * 1024)	  /* of a long answer, made at one go */

struct pf_api {
	struct pf_listener listener;
	struct pf_peer_rights rights;
	struct pf_peer asker; /* of the request at hand */
	struct MHD_Daemon *http;
	sd_event *event;
	sd_event_source *io;
	sd_event_source *timer;
	const struct pf_api_ops *ops;
	void *ctx;
	int (*identify)(int fd, struct pf_peer *out);
};

/* One request, from its first line to its answer. */
struct request {
	bool started;
	bool bad_path; /* an escaped NUL: libmicrohttpd would cut the path there */
	size_t body_bytes;
};

static bool is_full(const struct pf_api *api)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(api->http, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info && info->num_connections >= CONNECTIONS_MAX;
}

/* Does what libmicrohttpd has to do now, and comes back when it has a time-out to look at. */
static int pump(struct pf_api *api)
{
	bool was_full = is_full(api);
	MHD_UNSIGNED_LONG_LONG timeout_ms;
	uint64_t now_usec;
	int r;

	MHD_run(api->http);
	/*
	 * At its limit it stops watching the listening socket, and looks whether it may watch again
	 * at the start of a run only: without this one nothing would wake us for who waits there.
	 */
	if (was_full)
		MHD_run(api->http);
	if (MHD_get_timeout(api->http, &timeout_ms) != MHD_YES)
		return sd_event_source_set_enabled(api->timer, SD_EVENT_OFF);
	r = sd_event_now(api->event, CLOCK_MONOTONIC, &now_usec);
	if (r < 0)
		return r;
	r = sd_event_source_set_time(api->timer, now_usec + timeout_ms * 1000);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(api->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source, (void)fd, (void)revents;
	return pump(userdata);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	return pump(userdata);
}

/* Queues @body (handed over) as the answer. @allow: for 405, the methods there are. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status, char *body,
			      const char *allow)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(body);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", "application/json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (allow)
		MHD_add_response_header(response, "Allow", allow);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned int status,
			      const char *text, const char *allow)
{
	char *body = NULL;

	if (pf_wire_encode_error(text, &body) < 0)
		return MHD_NO;
	return answer(connection, status, body, allow);
}

/* NULL when this client may do that, otherwise why not. */
static const char *forbidden(struct pf_api *api, struct MHD_Connection *connection, bool changes)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pf_peer peer;

	api->asker = (struct pf_peer){};
	if (!info || api->identify(info->connect_fd, &peer) < 0)
		return "the kernel does not say who you are";
	if (changes && !pf_peer_may_change(&peer, &api->rights))
		return "only root and members of the agent's group may change anything";
	if (!pf_peer_may_read(&peer, &api->rights))
		return "only root and members of the agent's group may ask";
	api->asker = peer;
	return NULL;
}

/* ---- GET /v1/audit ------------------------------------------------------------------------ */

static ssize_t read_stream(void *cls, uint64_t pos, char *buf, size_t max)
{
	const struct pf_api_stream *stream = cls;
	ssize_t n = stream->read(stream->ctx, buf, max);

	(void)pos;
	return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void close_stream(void *cls)
{
	struct pf_api_stream *stream = cls;

	stream->close(stream->ctx);
	free(stream);
}

/* Takes @stream over. It is asked for its next piece when the client has taken the last one. */
static enum MHD_Result answer_stream(struct MHD_Connection *connection,
				     const struct pf_api_stream *stream)
{
	struct pf_api_stream *copy = malloc(sizeof(*copy));
	struct MHD_Response *response = NULL;
	enum MHD_Result result;

	if (copy) {
		*copy = *stream;
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
							     read_stream, copy, close_stream);
	}
	if (!response) {
		stream->close(stream->ctx);
		free(copy);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", "application/jsonl");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

struct filter_reading {
	struct pf_event_filter filter;
	struct pf_err err;
	uint64_t now_ns;
	int result;
};

static enum MHD_Result take_argument(void *cls, enum MHD_ValueKind kind, const char *key,
				     const char *value)
{
	struct filter_reading *reading = cls;

	(void)kind;
	reading->result = pf_event_filter_set(&reading->filter, key, value ?: "", reading->now_ns,
					      &reading->err);
	return reading->result < 0 ? MHD_NO : MHD_YES;
}

static enum MHD_Result call_audit(struct pf_api *api, struct MHD_Connection *connection)
{
	struct filter_reading reading = {};
	struct pf_api_stream stream = {};
	struct timespec now;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	reading.now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_argument, &reading);
	r = reading.result;
	if (!r)
		r = api->ops->audit(api->ctx, &reading.filter, &stream, &reading.err);
	pf_event_filter_clear(&reading.filter);
	if (r < 0)
		return refuse(connection, pf_route_status(r), reading.err.text, NULL);
	return answer_stream(connection, &stream);
}

/* ---- POST /v1/guests/G/mode?mode=M --------------------------------------------------------- */

static int call_mode(struct pf_api *api, struct MHD_Connection *connection, const char *guest,
		     char **body, struct pf_err *err)
{
	const char *word = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "mode");
	enum pf_mode mode;

	if (!word)
		return pf_fail_plain(err, EINVAL, "which mode? mode=WORD is missing");
	if (strcmp(word, "default") == 0)
		return api->ops->mode(api->ctx, guest, NULL, body, err);
	if (!pf_mode_parse(word, &mode))
		return pf_fail_plain(err, EINVAL,
				     "mode '%.40s' is none of observe, enforce, guard and default",
				     word);
	return api->ops->mode(api->ctx, guest, &mode, body, err);
}

/* ---- all others --------------------------------------------------------------------------- */

static enum MHD_Result call(struct pf_api *api, struct MHD_Connection *connection,
			    const struct pf_route *route)
{
	const char *guest = route->guest;
	struct pf_err err = {};
	char *body = NULL;
	int r;

	if (route->kind == PF_ROUTE_AUDIT)
		return call_audit(api, connection);
	if (!pf_route_changes(route->kind))
		guest = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "guest");
	if (guest && !*guest)
		return refuse(connection, 400, "the guest's name is empty", NULL);
	r = route->kind == PF_ROUTE_MODE
		    ? call_mode(api, connection, guest, &body, &err)
		    : pf_route_call(route->kind, api->ops, api->ctx, guest, &body, &err);
	if (r < 0)
		return refuse(connection, pf_route_status(r),
			      *err.text ? err.text : strerrordesc_np(-r) ?: "failed", NULL);
	return answer(connection, 200, body, NULL);
}

/* Cheapest check first; rights before names, so that nobody can probe which guests there are. */
static enum MHD_Result dispatch(struct pf_api *api, struct MHD_Connection *connection,
				const struct request *request, const struct pf_route *route,
				const char *method)
{
	bool changes = pf_route_changes(route->kind);
	bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	const char *why;

	if (request->bad_path)
		return refuse(connection, 400, "the path has an escaped NUL", NULL);
	if (route->kind == PF_ROUTE_NONE)
		return refuse(connection, 404, "no such path", NULL);
	if (changes ? strcmp(method, "POST") != 0 : !get)
		return refuse(connection, 405, "not with this method",
			      changes ? "POST" : "GET, HEAD");
	why = forbidden(api, connection, changes);
	if (why)
		return refuse(connection, 403, why, NULL);
	return call(api, connection, route);
}

/* Swallows a request's body up to its limit. Return: false once there is too much of it. */
static bool swallow(struct request *request, size_t *size)
{
	request->body_bytes += *size;
	*size = 0;
	return request->body_bytes <= BODY_MAX;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version,
				  const char *upload_data, size_t *upload_data_size,
				  void **con_cls)
{
	struct request *request = *con_cls;
	struct pf_route route = {};
	enum MHD_Result result;

	(void)version, (void)upload_data;
	if (!request)
		return MHD_NO;
	if (!request->started) {
		request->started = true;
		return MHD_YES;
	}
	if (*upload_data_size)
		return swallow(request, upload_data_size) ? MHD_YES : MHD_NO;
	if (pf_route_find(url, &route) < 0)
		return MHD_NO;
	result = dispatch(cls, connection, request, &route, method);
	free(route.guest);
	return result;
}

/* The first word of a request: its path and query, still escaped. */
static void *on_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));

	(void)cls, (void)connection;
	if (request)
		request->bad_path = strstr(uri, "%00") != NULL;
	return request;
}

static void on_done(void *cls, struct MHD_Connection *connection, void **con_cls,
		    enum MHD_RequestTerminationCode code)
{
	(void)cls, (void)connection, (void)code;
	free(*con_cls);
	*con_cls = NULL;
}

static void drop_words(void *cls, const char *fmt, va_list ap)
{
	/* Clients that hang up are not news. */
	(void)cls, (void)fmt, (void)ap;
}

static int start_http(struct pf_api *api, struct pf_err *err)
{
	api->http = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, api,
		MHD_OPTION_EXTERNAL_LOGGER, drop_words, NULL,
		MHD_OPTION_LISTEN_SOCKET, api->listener.fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)SILENCE_SECONDS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
		MHD_OPTION_URI_LOG_CALLBACK, on_line, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_done, NULL, MHD_OPTION_END);
	if (!api->http)
		return pf_fail(err, errno ?: EIO, "serve %s", api->listener.path);
	/* MHD_stop_daemon() closes it from here on. */
	api->listener.fd = -1;
	return 0;
}

static int join_loop(struct pf_api *api, struct pf_err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(api->http, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (!info)
		return pf_fail(err, ENOSYS, "serve %s: libmicrohttpd has no epoll",
			       api->listener.path);
	r = sd_event_add_io(api->event, &api->io, info->epoll_fd, EPOLLIN, on_io, api);
	if (r >= 0)
		r = sd_event_add_time(api->event, &api->timer, CLOCK_MONOTONIC, 0, 1, on_timer, api);
	if (r < 0)
		return pf_fail(err, r, "add %s to the loop", api->listener.path);
	sd_event_source_set_description(api->io, "control API");
	sd_event_source_set_description(api->timer, "control API time-out");
	return 0;
}

/* Asked once, at start: the name service may take its time. */
static gid_t find_group(const char *name)
{
	const struct group *group = name && *name ? getgrnam(name) : NULL;

	return group ? group->gr_gid : (gid_t)-1;
}

static int start(struct pf_api *api, const struct pf_config *config, struct pf_err *err)
{
	int r;

	api->rights.group = find_group(config->socket_group);
	api->rights.others_read = config->others_read;
	r = pf_listener_open(config->socket, api->rights.group, config->others_read ? 0666 : 0660,
			     &api->listener, err);
	r = r ?: start_http(api, err);
	return r ?: join_loop(api, err);
}

int pf_api_new(const struct pf_config *config, sd_event *event, const struct pf_api_ops *ops,
	       void *ctx, struct pf_api **out, struct pf_err *err)
{
	struct pf_api *api = calloc(1, sizeof(*api));
	int r;

	if (!api)
		return pf_fail(err, ENOMEM, "serve %s", config->socket);
	api->listener = PF_LISTENER_NONE;
	api->event = sd_event_ref(event);
	api->ops = ops;
	api->ctx = ctx;
	api->identify = pf_peer_read;
	r = start(api, config, err);
	if (r < 0) {
		pf_api_free(&api);
		return r;
	}
	*out = api;
	return 0;
}

void pf_api_free(struct pf_api **api)
{
	struct pf_api *old = pf_take_ptr(*api);

	if (!old)
		return;
	sd_event_source_disable_unref(old->io);
	sd_event_source_disable_unref(old->timer);
	if (old->http)
		MHD_stop_daemon(old->http);
	pf_listener_close(&old->listener);
	sd_event_unref(old->event);
	free(old);
}

const struct pf_peer *pf_api_asker(const struct pf_api *api)
{
	return &api->asker;
}

void pf_api_set_identify(struct pf_api *api, int (*identify)(int fd, struct pf_peer *out))
{
	api->identify = identify;
}
