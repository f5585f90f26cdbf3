// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/libvirt_worker.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define SETTLE_USEC (10 * MSEC) /* events of one change come together: read once for all */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 3

/* ---- what libvirt announces --------------------------------------------------------------- */

static void mark_dirty(struct pf_libvirt *lv, const char *uuid)
{
	uint64_t at = pf_lv_now_usec() + SETTLE_USEC;

	pf_lv_want(&lv->dirty, uuid);
	if (at < lv->read_at)
		lv->read_at = at;
}

static void domain_changed(struct pf_libvirt *lv, virDomainPtr domain)
{
	char uuid[VIR_UUID_STRING_BUFLEN];

	mark_dirty(lv, virDomainGetUUIDString(domain, uuid) == 0 ? uuid : NULL);
}

static void on_lifecycle(virConnectPtr conn, virDomainPtr domain, int event, int detail, void *lv)
{
	(void)conn;
	(void)event;
	(void)detail;
	domain_changed(lv, domain);
}

static void on_reboot(virConnectPtr conn, virDomainPtr domain, void *lv)
{
	(void)conn;
	domain_changed(lv, domain);
}

static void on_tunable(virConnectPtr conn, virDomainPtr domain, virTypedParameterPtr params,
		       int count, void *lv)
{
	(void)conn;
	(void)params;
	(void)count;
	domain_changed(lv, domain);
}

static void on_metadata(virConnectPtr conn, virDomainPtr domain, int type, const char *uri,
			void *lv)
{
	(void)conn;
	(void)type;
	(void)uri;
	domain_changed(lv, domain);
}

static void on_device(virConnectPtr conn, virDomainPtr domain, const char *alias, void *lv)
{
	(void)conn;
	(void)alias;
	domain_changed(lv, domain);
}

static const struct {
	int event;
	virConnectDomainEventGenericCallback callback;
} events[] = {
	{VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
	{VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot)},
	{VIR_DOMAIN_EVENT_ID_TUNABLE, VIR_DOMAIN_EVENT_CALLBACK(on_tunable)},
	{VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
	{VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
	{VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
};

static void on_close(virConnectPtr conn, int reason, void *opaque)
{
	static const char *const reasons[] = {
		[VIR_CONNECT_CLOSE_REASON_ERROR] = "libvirtd: the connection failed",
		[VIR_CONNECT_CLOSE_REASON_EOF] = "libvirtd closed the connection",
		[VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirtd did not answer for 15 s",
		[VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection was closed",
	};
	struct pf_libvirt *lv = opaque;

	(void)conn;
	lv->lost = true;
	snprintf(lv->lost_why, sizeof(lv->lost_why), "%s",
		 reason >= 0 && (size_t)reason < sizeof(reasons) / sizeof(reasons[0])
			 ? reasons[reason]
			 : "the connection was lost");
}

/* ---- what its status files tell ----------------------------------------------------------- */

/*
 * A status file was replaced or removed: @name is that of the guest with ".xml" behind. One of a
 * guest not known here is being started: libvirt holds its lock for seconds, and every call about
 * it would wait. The event at the end of the start tells.
 */
static void status_changed(struct pf_libvirt *lv, const char *name)
{
	size_t len = strlen(name);

	if (len <= 4 || strcmp(name + len - 4, ".xml") != 0)
		return;
	for (size_t i = 0; i < lv->guests.count; i++) {
		const struct pf_guest *guest = &lv->guests.items[i];

		if (strlen(guest->name) == len - 4 && strncmp(guest->name, name, len - 4) == 0) {
			mark_dirty(lv, guest->uuid);
			return;
		}
	}
}

static void on_inotify(int watch, int fd, int what, void *opaque)
{
	char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	struct pf_libvirt *lv = opaque;
	ssize_t len = read(fd, buf, sizeof(buf));

	(void)watch;
	(void)what;
	for (ssize_t at = 0; at < len;) {
		const struct inotify_event *event = (const void *)(buf + at);

		if (event->mask & IN_IGNORED)
			lv->watched = -1;
		if (event->mask & (IN_Q_OVERFLOW | IN_IGNORED))
			mark_dirty(lv, NULL);
		else if (event->len)
			status_changed(lv, event->name);
		at += (ssize_t)sizeof(*event) + event->len;
	}
}

void pf_lv_watch_state_dir(struct pf_libvirt *lv)
{
	if (lv->watched < 0)
		lv->watched =
			inotify_add_watch(lv->inotify_fd, lv->state_dir,
					  IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR);
}

/* ---- the subscription --------------------------------------------------------------------- */

void pf_lv_disconnect(struct pf_libvirt *lv)
{
	if (!lv->conn)
		return;
	for (size_t i = 0; i < lv->callback_count; i++)
		virConnectDomainEventDeregisterAny(lv->conn, lv->callbacks[i]);
	virConnectUnregisterCloseCallback(lv->conn, on_close);
	virConnectClose(lv->conn);
	lv->callback_count = 0;
	lv->conn = NULL;
}

/* A driver inside this process has no connection to lose, and says so. */
static bool is_unsupported(void)
{
	return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
}

const char *pf_lv_subscribe(struct pf_libvirt *lv)
{
	if (virConnectRegisterCloseCallback(lv->conn, on_close, lv, NULL) < 0 && !is_unsupported())
		return "register a close callback";
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		int id = virConnectDomainEventRegisterAny(lv->conn, NULL, events[i].event,
							  events[i].callback, lv, NULL);

		if (id < 0)
			return "register for events";
		lv->callbacks[lv->callback_count++] = id;
	}
	if (virConnectSetKeepAlive(lv->conn, KEEPALIVE_SECONDS, KEEPALIVE_COUNT) < 0 &&
	    !is_unsupported())
		return "set keepalive";
	return NULL;
}

/* ---- the event loop ----------------------------------------------------------------------- */

static void on_kick(int watch, int fd, int what, void *opaque)
{
	(void)watch;
	(void)what;
	(void)opaque;
	pf_lv_drain_fd(fd);
}

static void on_timer(int timer, void *opaque)
{
	(void)timer;
	(void)opaque;
}

int pf_lv_add_watches(struct pf_libvirt *lv, struct pf_err *err)
{
	lv->timer = virEventAddTimeout(-1, on_timer, NULL, NULL);
	lv->kick_watch =
		virEventAddHandle(lv->kick_fd, VIR_EVENT_HANDLE_READABLE, on_kick, NULL, NULL);
	lv->inotify_watch =
		virEventAddHandle(lv->inotify_fd, VIR_EVENT_HANDLE_READABLE, on_inotify, lv, NULL);
	if (lv->timer >= 0 && lv->kick_watch >= 0 && lv->inotify_watch >= 0)
		return 0;
	if (lv->timer >= 0)
		virEventRemoveTimeout(lv->timer);
	if (lv->kick_watch >= 0)
		virEventRemoveHandle(lv->kick_watch);
	if (lv->inotify_watch >= 0)
		virEventRemoveHandle(lv->inotify_watch);
	return pf_fail_plain(err, EIO, "libvirt's event loop: %s", pf_lv_says());
}

void pf_lv_remove_watches(struct pf_libvirt *lv)
{
	virEventRemoveTimeout(lv->timer);
	virEventRemoveHandle(lv->kick_watch);
	virEventRemoveHandle(lv->inotify_watch);
}
