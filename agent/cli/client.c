// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/cleanup.h"
#include "agent/model/wire.h"

#define CONNECT_SECONDS 3L
#define ANSWER_SECONDS 30L
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

/* The host in a URL is what HTTP asks for; the socket decides where it goes. */
#define URL "http://pinfold/v1/"

static void cleanup_curl(CURL **curl)
{
	curl_easy_cleanup(*curl);
}

void pf_reply_clear(struct pf_reply *reply)
{
	free(reply->body);
	*reply = (struct pf_reply){};
}

static size_t take_body(char *data, size_t size, size_t count, void *userdata)
{
	struct pf_reply *reply = userdata;
	size_t len = size * count;
	char *body;

	if (len > ANSWER_BYTES_MAX - reply->len)
		return 0;
	body = realloc(reply->body, reply->len + len + 1);
	if (!body)
		return 0;
	memcpy(body + reply->len, data, len);
	reply->body = body;
	reply->len += len;
	body[reply->len] = '\0';
	return len;
}

static void set_options(CURL *curl, const char *socket, const char *url, bool post,
			struct pf_reply *reply)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); /* a guest may be called ".." */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	/* Not for the whole of it: a long answer may come in pieces. */
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, ANSWER_SECONDS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	if (!post)
		return;
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
}

static int unreachable(CURL *curl, CURLcode code, const char *socket, struct pf_err *err)
{
	long error = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
	if (code != CURLE_COULDNT_CONNECT || !error)
		return pf_fail_plain(err, ENOTCONN, "the agent at %s does not answer: %s", socket,
				     curl_easy_strerror(code));
	return pf_fail_plain(err, ENOTCONN, "can't reach the agent at %s: %s%s", socket,
			     strerrordesc_np((int)error) ?: "unknown error",
			     error == EACCES ? " (root or the agent's group may)"
					     : " (is pinfoldd running?)");
}

static int refused(const struct pf_reply *reply, long status, struct pf_err *err)
{
	pf_auto_free char *words = reply->body ? pf_wire_decode_error(reply->body, reply->len)
					       : NULL;

	if (words)
		return pf_fail_plain(err, EREMOTEIO, "%s", words);
	return pf_fail_plain(err, EREMOTEIO, "the agent answers with HTTP status %ld", status);
}

static int request(const char *socket, const char *url, bool post, bool may_be_empty,
		   struct pf_reply *out, struct pf_err *err)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
	PF_CLEANUP(cleanup_curl) CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;

	if (!curl)
		return pf_fail(err, ENOMEM, "ask %s", socket);
	set_options(curl, socket, url, post, &reply);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		return unreachable(curl, code, socket, err);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 || (!reply.body && !may_be_empty))
		return refused(&reply, status, err);
	*out = reply;
	reply = (struct pf_reply){};
	return 0;
}

/* URL + before + the escaped name of @guest + after. */
static int request_guest(const char *socket, const char *before, const char *guest,
			 const char *after, bool post, struct pf_reply *out, struct pf_err *err)
{
	char *escaped = curl_easy_escape(NULL, guest, 0);
	pf_auto_free char *url = NULL;

	if (!escaped || asprintf(&url, URL "%s%s%s", before, escaped, after) < 0) {
		url = NULL;
		curl_free(escaped);
		return pf_fail(err, ENOMEM, "ask %s", socket);
	}
	curl_free(escaped);
	return request(socket, url, post, false, out, err);
}

int pf_client_get(const char *socket, const char *what, const char *guest, struct pf_reply *out,
		  struct pf_err *err)
{
	char before[64];

	if (guest) {
		snprintf(before, sizeof(before), "%.32s?guest=", what);
		return request_guest(socket, before, guest, "", false, out, err);
	}
	snprintf(before, sizeof(before), URL "%.32s", what);
	return request(socket, before, false, false, out, err);
}

/* "?KEY=VALUE&KEY=VALUE" behind what @out has already. */
static int put_arguments(FILE *out, const struct pf_argument *arguments)
{
	char mark = '?';

	for (; arguments->key; arguments++) {
		char *escaped;

		if (!arguments->value)
			continue;
		escaped = curl_easy_escape(NULL, arguments->value, 0);
		if (!escaped)
			return -ENOMEM;
		fprintf(out, "%c%s=%s", mark, arguments->key, escaped);
		curl_free(escaped);
		mark = '&';
	}
	return 0;
}

int pf_client_query(const char *socket, const char *what, const struct pf_argument *arguments,
		    struct pf_reply *out, struct pf_err *err)
{
	pf_auto_free char *url = NULL;
	size_t size;
	FILE *stream = open_memstream(&url, &size);
	int r;

	if (!stream)
		return pf_fail(err, ENOMEM, "ask %s", socket);
	fprintf(stream, URL "%.32s", what);
	r = put_arguments(stream, arguments);
	if (fclose(stream) != 0 || r < 0)
		return pf_fail(err, ENOMEM, "ask %s", socket);
	return request(socket, url, false, true, out, err);
}

int pf_client_post(const char *socket, const char *guest, const char *verb, struct pf_reply *out,
		   struct pf_err *err)
{
	char after[64];

	snprintf(after, sizeof(after), "/%.32s", verb);
	return request_guest(socket, "guests/", guest, after, true, out, err);
}
