// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/base/cleanup.h"
#include "agent/cli/client.h"
#include "agent/cli/status_view.h"
#include "agent/cli/steer.h"
#include "agent/model/wire.h"

static const struct timespec pause_between = {0, 200000000};

static const struct pf_guest_status *find(const struct pf_status *status, const char *uuid)
{
	for (size_t i = 0; i < status->guest_count; i++)
		if (strcmp(status->guests[i].uuid, uuid) == 0)
			return &status->guests[i];
	return NULL;
}

/* Return: 0, or -errno as pf_client_get() */
static int ask_again(const struct pf_cli *cli, const char *uuid, struct pf_status *status,
		     struct pf_err *err)
{
	PF_CLEANUP(pf_reply_clear) struct pf_reply reply = {};
	int r = pf_client_get(cli->socket, "status", uuid, &reply, err);

	pf_status_clear(status);
	return r ?: pf_steer_read(&reply, status, err);
}

/*
 * The agent answers before the kernel has moved all memory. One who leaves does not hinder it, and a
 * guest that was held again in between is waited for no longer.
 */
static int wait_until_back(const struct pf_cli *cli, struct pf_status *status, struct pf_err *err)
{
	char uuid[sizeof(status->guests->uuid)];
	const struct pf_guest_status *guest;
	int r = 0;

	if (!status->guest_count)
		return 0;
	memcpy(uuid, status->guests[0].uuid, sizeof(uuid));
	while ((guest = find(status, uuid)) && guest->released && guest->under_way) {
		nanosleep(&pause_between, NULL);
		r = ask_again(cli, uuid, status, err);
		if (r < 0)
			return r;
	}
	if (guest && guest->not_put_back)
		return pf_fail_plain(err, EIO, "%s", guest->not_put_back);
	return 0;
}

enum pf_exit pf_cmd_release(const struct pf_cli *cli)
{
	PF_CLEANUP(pf_status_clear) struct pf_status status = {};
	struct pf_err err = {};

	if (pf_steer_ask(cli, "release", &status, &err) < 0 ||
	    wait_until_back(cli, &status, &err) < 0)
		return pf_cli_fail(&err);
	pf_steer_show(cli, &status);
	return PF_EXIT_OK;
}
