// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/libvirt.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/source/domain_xml.h"
#include "agent/source/proc.h"

#define MSEC UINT64_C(1000)
#define SEC UINT64_C(1000000)

#define SETTLE_USEC (10 * MSEC)    /* events of one change come together: read once for all */
#define SWEEP_USEC (30 * SEC)      /* everything anew, though nothing was announced */
#define SWEEP_BLIND_USEC (3 * SEC) /* the same where the status files can't be watched */
#define BACKOFF_MIN_USEC (1 * SEC)
#define BACKOFF_MAX_USEC (10 * SEC)
#define HUNG_USEC (3 * SEC)
#define STOP_SECONDS 1
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 3

#define NEVER UINT64_MAX

/* Guests to be read anew. */
struct wanted {
	bool all;
	char (*uuids)[37];
	size_t count;
};

struct pf_libvirt {
	char *uri;
	char *state_dir;
	int root;
	int post_fd; /* worker -> owner */
	int kick_fd; /* owner -> worker */
	pthread_t thread;

	/* Shared, under the lock. */
	pthread_mutex_t lock;
	unsigned int holders; /* owner and worker; the last one frees */
	bool stopping;
	struct wanted asked;
	uint64_t tickets; /* drawn so far */
	bool has_posted;
	struct pf_guests posted;
	uint64_t posted_ticket;
	struct pf_libvirt_state state;
	uint64_t call_since; /* of a libvirt call that has not returned, or 0 */

	/* The worker's alone; libvirt runs the callbacks in its event loop, that is, there too. */
	virConnectPtr conn;
	bool lost;
	char lost_why[200];
	uint64_t backoff;
	uint64_t connect_at, read_at, sweep_at;
	struct wanted dirty;
	struct pf_guests guests;
	int callbacks[8];
	size_t callback_count;
	int timer, kick_watch, inotify_watch;
	int inotify_fd;
	int watched; /* inotify's watch of the state folder, or -1 */
};

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec / 1000;
}

static void raise_fd(int fd)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the reader is awake anyway. */
	(void)!write(fd, &one, sizeof(one));
}

static void drain_fd(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

static void wanted_clear(struct wanted *wanted)
{
	free(wanted->uuids);
	*wanted = (struct wanted){};
}

/* Where there is no memory for one, all are wanted. */
static void want(struct wanted *wanted, const char *uuid)
{
	char(*item)[37];

	if (!uuid) {
		wanted->all = true;
		return;
	}
	for (size_t i = 0; i < wanted->count; i++)
		if (strcmp(wanted->uuids[i], uuid) == 0)
			return;
	item = pf_append(&wanted->uuids, &wanted->count);
	if (item)
		snprintf(*item, sizeof(*item), "%s", uuid);
	else
		wanted->all = true;
}

static void drop_hold(struct pf_libvirt *lv)
{
	unsigned int holders;

	pthread_mutex_lock(&lv->lock);
	holders = --lv->holders;
	pthread_mutex_unlock(&lv->lock);
	if (holders)
		return;
	pthread_mutex_destroy(&lv->lock);
	free(lv->uri);
	free(lv->state_dir);
	pf_cleanup_close(&lv->root);
	pf_cleanup_close(&lv->post_fd);
	pf_cleanup_close(&lv->kick_fd);
	pf_cleanup_close(&lv->inotify_fd);
	wanted_clear(&lv->asked);
	wanted_clear(&lv->dirty);
	pf_guests_clear(&lv->posted);
	pf_guests_clear(&lv->guests);
	free(lv);
}

/* ---- worker: state ---------------------------------------------------------------------- */

static void set_state(struct pf_libvirt *lv, enum pf_libvirt_link link, const char *reason)
{
	pthread_mutex_lock(&lv->lock);
	if (lv->state.link != link)
		lv->state.since_usec = now_usec();
	lv->state.link = link;
	snprintf(lv->state.reason, sizeof(lv->state.reason), "%s", reason);
	pthread_mutex_unlock(&lv->lock);
	raise_fd(lv->post_fd);
}

/* Brackets everything that may wait for libvirtd, so that pf_libvirt_state() sees it hang. */
static void call_begin(struct pf_libvirt *lv)
{
	pthread_mutex_lock(&lv->lock);
	lv->call_since = now_usec();
	pthread_mutex_unlock(&lv->lock);
}

static void call_end(struct pf_libvirt *lv)
{
	pthread_mutex_lock(&lv->lock);
	lv->call_since = 0;
	pthread_mutex_unlock(&lv->lock);
}

static const char *libvirt_says(void)
{
	const char *text = virGetLastErrorMessage();

	return text ? text : "no reason given";
}

/* ---- worker: what wakes it -------------------------------------------------------------- */

static void mark_dirty(struct pf_libvirt *lv, const char *uuid)
{
	uint64_t at = now_usec() + SETTLE_USEC;

	want(&lv->dirty, uuid);
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

static void on_kick(int watch, int fd, int what, void *opaque)
{
	(void)watch;
	(void)what;
	(void)opaque;
	drain_fd(fd);
}

static void on_timer(int timer, void *opaque)
{
	(void)timer;
	(void)opaque;
}

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

/* libvirtd makes the folder: it may not be there yet, so this is tried again. */
static void watch_state_dir(struct pf_libvirt *lv)
{
	if (lv->watched < 0)
		lv->watched =
			inotify_add_watch(lv->inotify_fd, lv->state_dir,
					  IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR);
}

/* ---- worker: connection ----------------------------------------------------------------- */

static void disconnect(struct pf_libvirt *lv)
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

static void retry_later(struct pf_libvirt *lv, const char *reason)
{
	disconnect(lv);
	lv->connect_at = now_usec() + lv->backoff;
	lv->backoff = lv->backoff * 2 > BACKOFF_MAX_USEC ? BACKOFF_MAX_USEC : lv->backoff * 2;
	set_state(lv, PF_LIBVIRT_RECONNECTING, reason);
}

/* A driver inside this process has no connection to lose, and says so. */
static bool is_unsupported(void)
{
	return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT;
}

/* Return: NULL, or what could not be set up; libvirt's error tells more. */
static const char *subscribe(struct pf_libvirt *lv)
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

static void try_connect(struct pf_libvirt *lv)
{
	const char *failed = "connect";
	char why[sizeof(lv->state.reason)];

	lv->lost = false;
	call_begin(lv);
	lv->conn = virConnectOpenReadOnly(lv->uri);
	if (lv->conn)
		failed = subscribe(lv);
	if (failed)
		snprintf(why, sizeof(why), "%s to %s: %s", failed, lv->uri, libvirt_says());
	call_end(lv);
	if (failed) {
		retry_later(lv, why);
		return;
	}
	lv->backoff = BACKOFF_MIN_USEC;
	lv->sweep_at = now_usec();
	set_state(lv, PF_LIBVIRT_CONNECTED, "");
}

/* ---- worker: reading -------------------------------------------------------------------- */

static struct pf_guest *find_guest(struct pf_guests *guests, const char *uuid)
{
	for (size_t i = 0; i < guests->count; i++)
		if (strcmp(guests->items[i].uuid, uuid) == 0)
			return &guests->items[i];
	return NULL;
}

static void remove_guest(struct pf_guests *guests, struct pf_guest *guest)
{
	struct pf_guest *last = &guests->items[guests->count - 1];

	pf_guest_clear(guest);
	if (guest != last)
		*guest = *last;
	*last = (struct pf_guest){};
	guests->count--;
}

/* Takes @guest over, in place of the one with its uuid. Return: 0 or -ENOMEM. */
static int put_guest(struct pf_guests *guests, struct pf_guest *guest)
{
	struct pf_guest *place = find_guest(guests, guest->uuid);

	if (place)
		pf_guest_clear(place);
	else
		place = pf_append(&guests->items, &guests->count);
	if (!place)
		return -ENOMEM;
	*place = *guest;
	*guest = (struct pf_guest){};
	return 0;
}

/* The pid file beside the status file may be read by all. */
static bool read_pid_file(struct pf_libvirt *lv, struct pf_guest *guest)
{
	pf_auto_free char *path = NULL;
	unsigned long long pid;

	if (asprintf(&path, "%s/%s.pid", lv->state_dir, guest->name) < 0) {
		path = NULL;
		return false;
	}
	if (pf_file_read_u64(lv->root, path, &pid, NULL) < 0 || pid > INT_MAX)
		return false;
	guest->pid = (pid_t)pid;
	return true;
}

/* Process and thread ids. Without libvirt's record pf_proc_fill() goes by the threads' names. */
static int read_process(struct pf_libvirt *lv, struct pf_guest *guest)
{
	struct pf_err err;

	if (pf_proc_state(lv->root, lv->state_dir, guest, &err) == 0)
		return 0;
	if (read_pid_file(lv, guest))
		return pf_findings_add(
			&guest->findings, PF_FINDING_NOTE,
			"libvirt's record of thread ids cannot be read, the names of "
			"the threads are used instead: %s",
			err.text);
	return pf_findings_add(&guest->findings, PF_FINDING_IMPOSSIBLE,
			       "the guest's process is not known: %s", err.text);
}

/* A guest that runs, but whose promises libvirt does not tell: better shown than missing. */
static int make_unreadable(virDomainPtr domain, const char *why, struct pf_guest *out)
{
	const char *name = virDomainGetName(domain);
	struct pf_guest guest = {.source = PF_SOURCE_LIBVIRT};

	if (virDomainGetUUIDString(domain, guest.uuid) < 0 || !name)
		return -EINVAL;
	guest.name = strdup(name);
	if (!guest.name ||
	    pf_findings_add(&guest.findings, PF_FINDING_IMPOSSIBLE,
			    "what the guest was promised is not known: %s", why) < 0) {
		pf_guest_clear(&guest);
		return -ENOMEM;
	}
	*out = guest;
	return 0;
}

/*
 * A guest that libvirt is still starting does not count yet: QEMU has not made its threads, or
 * libvirt has not placed them. An event tells when it has.
 * Return: 0, -ESHUTDOWN when it does not run, -ENOTCONN when libvirtd is gone.
 */
static int is_running(struct pf_libvirt *lv, virDomainPtr domain)
{
	int state, reason;

	if (virDomainGetState(domain, &state, &reason, 0) == 0) {
		if (state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_STARTING_UP)
			return -ESHUTDOWN;
		return state == VIR_DOMAIN_SHUTOFF ? -ESHUTDOWN : 0;
	}
	if (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return -ESHUTDOWN;
	return virConnectIsAlive(lv->conn) == 1 ? 0 : -ENOTCONN;
}

/* Return: 0, -ESHUTDOWN, -ENOTCONN or -ENOMEM. */
static int read_domain(struct pf_libvirt *lv, virDomainPtr domain, struct pf_guest *out)
{
	pf_auto_free char *xml = virDomainGetXMLDesc(domain, 0);
	char why[300] = "";
	struct pf_err err;
	int r;

	if (!xml)
		snprintf(why, sizeof(why), "%s", libvirt_says());
	/* Afterwards: of a domain that just ended, the XML would be the next start's. */
	r = is_running(lv, domain);
	if (r < 0)
		return r;
	r = xml ? pf_domain_xml_parse(xml, out, &err) : -ENODATA;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		r = make_unreadable(domain, xml ? err.text : why, out);
	if (r < 0)
		return r;
	r = read_process(lv, out);
	if (r < 0)
		pf_guest_clear(out);
	return r;
}

/* One answer of read_domain() into @guests. Return: 0, or what ends the whole read. */
static int take_domain(struct pf_libvirt *lv, virDomainPtr domain, struct pf_guests *guests)
{
	PF_CLEANUP(pf_guest_clear) struct pf_guest guest = {};
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct pf_guest *old;
	int r = read_domain(lv, domain, &guest);

	if (r == 0)
		return put_guest(guests, &guest);
	if (r != -ESHUTDOWN)
		return r;
	old = virDomainGetUUIDString(domain, uuid) == 0 ? find_guest(guests, uuid) : NULL;
	if (old)
		remove_guest(guests, old);
	return 0;
}

static int read_all(struct pf_libvirt *lv)
{
	PF_CLEANUP(pf_guests_clear) struct pf_guests fresh = {};
	virDomainPtr *domains = NULL;
	int count = virConnectListAllDomains(lv->conn, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	int r = 0;

	if (count < 0)
		return -ENOTCONN;
	for (int i = 0; i < count; i++) {
		if (r == 0)
			r = take_domain(lv, domains[i], &fresh);
		virDomainFree(domains[i]);
	}
	free(domains);
	if (r < 0)
		return r;
	pf_guests_clear(&lv->guests);
	lv->guests = fresh;
	fresh = (struct pf_guests){};
	return 0;
}

static int read_one(struct pf_libvirt *lv, const char *uuid)
{
	virDomainPtr domain = virDomainLookupByUUIDString(lv->conn, uuid);
	struct pf_guest *old;
	int r;

	if (domain) {
		r = take_domain(lv, domain, &lv->guests);
		virDomainFree(domain);
		return r;
	}
	if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
		return -ENOTCONN;
	old = find_guest(&lv->guests, uuid);
	if (old)
		remove_guest(&lv->guests, old);
	return 0;
}

static int read_wanted(struct pf_libvirt *lv, const struct wanted *wanted)
{
	int r = 0;

	if (wanted->all)
		return read_all(lv);
	for (size_t i = 0; r == 0 && i < wanted->count; i++)
		r = read_one(lv, wanted->uuids[i]);
	return r;
}

/* Return: 0 or -ENOMEM. */
static int post(struct pf_libvirt *lv, uint64_t ticket)
{
	struct pf_guests copy = {};

	for (size_t i = 0; i < lv->guests.count; i++) {
		struct pf_guest *item = pf_append(&copy.items, &copy.count);

		if (!item || pf_guest_copy(item, &lv->guests.items[i]) < 0) {
			pf_guests_clear(&copy);
			return -ENOMEM;
		}
	}
	pthread_mutex_lock(&lv->lock);
	pf_guests_clear(&lv->posted);
	lv->posted = copy;
	lv->posted_ticket = ticket;
	lv->has_posted = true;
	pthread_mutex_unlock(&lv->lock);
	raise_fd(lv->post_fd);
	return 0;
}

/* Moves what the owner asked for to what is to be read. Return: the ticket that will satisfy. */
static uint64_t take_asked(struct pf_libvirt *lv)
{
	uint64_t ticket;

	pthread_mutex_lock(&lv->lock);
	if (lv->asked.all)
		want(&lv->dirty, NULL);
	for (size_t i = 0; i < lv->asked.count; i++)
		want(&lv->dirty, lv->asked.uuids[i]);
	wanted_clear(&lv->asked);
	ticket = lv->tickets;
	pthread_mutex_unlock(&lv->lock);
	return ticket;
}

static bool is_asked(struct pf_libvirt *lv)
{
	bool asked;

	pthread_mutex_lock(&lv->lock);
	asked = lv->asked.all || lv->asked.count;
	pthread_mutex_unlock(&lv->lock);
	return asked;
}

/* Reads what is dirty or asked for, and posts. What was not read stays wanted. */
static void read_and_post(struct pf_libvirt *lv)
{
	uint64_t ticket = take_asked(lv);
	struct wanted wanted = lv->dirty;
	int r;

	lv->dirty = (struct wanted){};
	lv->read_at = NEVER;
	call_begin(lv);
	r = read_wanted(lv, &wanted);
	call_end(lv);
	if (r == 0)
		r = post(lv, ticket);
	if (r == 0 && wanted.all)
		lv->sweep_at = now_usec() + (lv->watched >= 0 ? SWEEP_USEC : SWEEP_BLIND_USEC);
	wanted_clear(&wanted);
	if (r == 0)
		return;
	/* A full read makes good for all that was wanted, tickets included. */
	want(&lv->dirty, NULL);
	lv->read_at = now_usec() + BACKOFF_MIN_USEC;
	if (r == -ENOTCONN && !lv->lost) {
		lv->lost = true;
		snprintf(lv->lost_why, sizeof(lv->lost_why), "%s", libvirt_says());
	}
}

/* ---- worker: the loop ------------------------------------------------------------------- */

/* Does what is due. */
static void step(struct pf_libvirt *lv)
{
	uint64_t now = now_usec();

	watch_state_dir(lv);
	if (lv->conn && lv->lost)
		retry_later(lv, lv->lost_why);
	if (!lv->conn && now >= lv->connect_at)
		try_connect(lv);
	if (!lv->conn || lv->lost)
		return;
	if (now_usec() >= lv->sweep_at)
		want(&lv->dirty, NULL);
	if (now_usec() >= lv->sweep_at || now >= lv->read_at || is_asked(lv))
		read_and_post(lv);
}

/* Milliseconds until something is due, rounded up so that it is. */
static int next_due(const struct pf_libvirt *lv)
{
	uint64_t now = now_usec(), at;

	if (lv->lost)
		return 0;
	if (!lv->conn)
		at = lv->connect_at;
	else
		at = lv->read_at < lv->sweep_at ? lv->read_at : lv->sweep_at;
	return at <= now ? 0 : (int)((at - now) / MSEC) + 1;
}

static bool is_stopping(struct pf_libvirt *lv)
{
	bool stopping;

	pthread_mutex_lock(&lv->lock);
	stopping = lv->stopping;
	pthread_mutex_unlock(&lv->lock);
	return stopping;
}

static void *work(void *opaque)
{
	struct pf_libvirt *lv = opaque;

	while (!is_stopping(lv)) {
		step(lv);
		virEventUpdateTimeout(lv->timer, next_due(lv));
		if (!is_stopping(lv))
			virEventRunDefaultImpl();
	}
	disconnect(lv);
	virEventRemoveTimeout(lv->timer);
	virEventRemoveHandle(lv->kick_watch);
	virEventRemoveHandle(lv->inotify_watch);
	drop_hold(lv);
	return NULL;
}

/* ---- owner ------------------------------------------------------------------------------ */

/* libvirt prints each error on standard error unless there is a handler. */
static void be_quiet(void *opaque, virErrorPtr error)
{
	(void)opaque;
	(void)error;
}

static bool library_ready;

static void library_init(void)
{
	virSetErrorFunc(NULL, be_quiet);
	xmlInitParser(); /* before a second thread uses it */
	library_ready = virInitialize() == 0 && virEventRegisterDefaultImpl() == 0;
}

static int add_watches(struct pf_libvirt *lv, struct pf_err *err)
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
	return pf_fail_plain(err, EIO, "libvirt's event loop: %s", libvirt_says());
}

/* Everything but the thread. On failure the caller drops the one hold there is. */
static int set_up(struct pf_libvirt *lv, const struct pf_config *config, struct pf_err *err)
{
	lv->uri = strdup(config->uri);
	lv->state_dir = strdup(config->libvirt_state_dir);
	if (!lv->uri || !lv->state_dir)
		return pf_fail(err, ENOMEM, "start the libvirt worker");
	lv->root = pf_root_open("/", err);
	if (lv->root < 0)
		return lv->root;
	lv->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lv->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lv->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (lv->post_fd < 0 || lv->kick_fd < 0 || lv->inotify_fd < 0)
		return pf_fail(err, errno, "eventfd or inotify for the libvirt worker");
	return add_watches(lv, err);
}

/* Signals are the main thread's business. */
static int start_thread(struct pf_libvirt *lv)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&lv->thread, NULL, work, lv);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int pf_libvirt_start(const struct pf_config *config, struct pf_libvirt **out, struct pf_err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct pf_libvirt *lv;
	int r;

	pthread_once(&once, library_init);
	if (!library_ready)
		return pf_fail_plain(err, EIO, "initialise libvirt: %s", libvirt_says());
	lv = calloc(1, sizeof(*lv));
	if (!lv)
		return pf_fail(err, ENOMEM, "start the libvirt worker");
	pthread_mutex_init(&lv->lock, NULL);
	lv->holders = 1;
	lv->root = lv->post_fd = lv->kick_fd = lv->inotify_fd = lv->watched = -1;
	lv->backoff = BACKOFF_MIN_USEC;
	lv->read_at = lv->sweep_at = NEVER;
	lv->state.since_usec = now_usec();
	r = set_up(lv, config, err);
	if (r == 0) {
		lv->holders = 2;
		r = start_thread(lv);
		if (r < 0) {
			lv->holders = 1;
			virEventRemoveTimeout(lv->timer);
			virEventRemoveHandle(lv->kick_watch);
			virEventRemoveHandle(lv->inotify_watch);
			pf_fail(err, r, "start the libvirt worker");
		}
	}
	if (r < 0) {
		drop_hold(lv);
		return r;
	}
	*out = lv;
	return 0;
}

int pf_libvirt_fd(const struct pf_libvirt *lv)
{
	return lv->post_fd;
}

bool pf_libvirt_take(struct pf_libvirt *lv, struct pf_guests *out, uint64_t *ticket)
{
	bool taken;

	drain_fd(lv->post_fd);
	pthread_mutex_lock(&lv->lock);
	taken = lv->has_posted;
	if (taken) {
		*out = lv->posted;
		*ticket = lv->posted_ticket;
		lv->posted = (struct pf_guests){};
		lv->has_posted = false;
	}
	pthread_mutex_unlock(&lv->lock);
	return taken;
}

uint64_t pf_libvirt_refresh(struct pf_libvirt *lv, const char *uuid)
{
	uint64_t ticket;

	pthread_mutex_lock(&lv->lock);
	want(&lv->asked, uuid);
	ticket = ++lv->tickets;
	pthread_mutex_unlock(&lv->lock);
	raise_fd(lv->kick_fd);
	return ticket;
}

const char *pf_libvirt_link_name(enum pf_libvirt_link link)
{
	static const char *const names[] = {"connecting", "connected", "hung", "reconnecting"};

	return names[link];
}

void pf_libvirt_state(struct pf_libvirt *lv, struct pf_libvirt_state *out)
{
	uint64_t now = now_usec(), call_since;

	pthread_mutex_lock(&lv->lock);
	*out = lv->state;
	call_since = lv->call_since;
	pthread_mutex_unlock(&lv->lock);
	if (!call_since || now < call_since + HUNG_USEC)
		return;
	out->link = PF_LIBVIRT_HUNG;
	out->since_usec = call_since;
	snprintf(out->reason, sizeof(out->reason), "libvirtd has not answered for %llu s",
		 (unsigned long long)((now - call_since) / SEC));
}

void pf_libvirt_stop(struct pf_libvirt **lv)
{
	struct timespec until;
	struct pf_libvirt *own = *lv;

	*lv = NULL;
	if (!own)
		return;
	pthread_mutex_lock(&own->lock);
	own->stopping = true;
	pthread_mutex_unlock(&own->lock);
	raise_fd(own->kick_fd);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_SECONDS;
	if (pthread_timedjoin_np(own->thread, NULL, &until) != 0)
		pthread_detach(own->thread);
	drop_hold(own);
}
