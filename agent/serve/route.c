// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/serve/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GUESTS "/v1/guests/"

static const struct {
	const char *path;
	enum pf_route_kind kind;
} fixed[] = {
	{"/v1/status", PF_ROUTE_STATUS},
	{"/v1/plan", PF_ROUTE_PLAN},
	{"/v1/host", PF_ROUTE_HOST},
	{"/v1/audit", PF_ROUTE_AUDIT},
};

static enum pf_route_kind verb_kind(const char *verb)
{
	if (strcmp(verb, "hold") == 0)
		return PF_ROUTE_HOLD;
	if (strcmp(verb, "release") == 0)
		return PF_ROUTE_RELEASE;
	if (strcmp(verb, "mode") == 0)
		return PF_ROUTE_MODE;
	return PF_ROUTE_NONE;
}

int pf_route_find(const char *path, struct pf_route *out)
{
	const char *name = path + strlen(GUESTS), *slash = strrchr(path, '/');

	*out = (struct pf_route){};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (strcmp(fixed[i].path, path) == 0) {
			out->kind = fixed[i].kind;
			return 0;
		}
	}
	if (strncmp(path, GUESTS, strlen(GUESTS)) != 0 || slash <= name ||
	    verb_kind(slash + 1) == PF_ROUTE_NONE)
		return 0;
	out->guest = strndup(name, (size_t)(slash - name));
	if (!out->guest)
		return -ENOMEM;
	out->kind = verb_kind(slash + 1);
	return 0;
}

bool pf_route_changes(enum pf_route_kind kind)
{
	return kind == PF_ROUTE_HOLD || kind == PF_ROUTE_RELEASE || kind == PF_ROUTE_MODE;
}

int pf_route_call(enum pf_route_kind kind, const struct pf_api_ops *ops, void *ctx,
		  const char *guest, char **body, struct pf_err *err)
{
	switch (kind) {
	case PF_ROUTE_STATUS:
		return ops->status(ctx, guest, body, err);
	case PF_ROUTE_PLAN:
		return ops->plan(ctx, guest, body, err);
	case PF_ROUTE_HOST:
		return ops->host(ctx, body, err);
	case PF_ROUTE_HOLD:
		return ops->hold(ctx, guest, body, err);
	case PF_ROUTE_RELEASE:
		return ops->release(ctx, guest, body, err);
	case PF_ROUTE_MODE:
	case PF_ROUTE_AUDIT:
	case PF_ROUTE_NONE:
		break;
	}
	return pf_fail_plain(err, ENOENT, "no such path");
}

unsigned int pf_route_status(int code)
{
	switch (-code) {
	case 0:
		return 200;
	case EINVAL:
		return 400;
	case EPERM:
	case EACCES:
		return 403;
	case ENOENT:
		return 404;
	case EALREADY:
	case EBUSY:
	case EEXIST:
	case EOPNOTSUPP:
		return 409;
	case EAGAIN:
		return 503;
	default:
		return 500;
	}
}
