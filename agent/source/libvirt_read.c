// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source/libvirt_worker.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/base/hash.h"
#include "agent/source/domain_xml.h"
#include "agent/source/proc.h"

#define SWEEP_USEC (3600 * SEC)    /* everything anew, though nothing was announced */
#define SWEEP_BLIND_USEC (3 * SEC) /* the same where the status files can't be watched */

/* ---- one guest ---------------------------------------------------------------------------- */

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
		snprintf(why, sizeof(why), "%s", pf_lv_says());
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
	out->words = pf_hash_text(PF_HASH_START, xml ?: why);
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
	int r = read_domain(lv, domain, &guest);

	if (r == 0)
		return pf_guests_put(guests, &guest);
	if (r != -ESHUTDOWN)
		return r;
	if (virDomainGetUUIDString(domain, uuid) == 0)
		pf_guests_remove(guests, uuid);
	return 0;
}

/* ---- all that is wanted ------------------------------------------------------------------- */

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
	int r;

	if (domain) {
		r = take_domain(lv, domain, &lv->guests);
		virDomainFree(domain);
		return r;
	}
	if (virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
		return -ENOTCONN;
	pf_guests_remove(&lv->guests, uuid);
	return 0;
}

static int read_wanted(struct pf_libvirt *lv, const struct pf_lv_wanted *wanted)
{
	int r = 0;

	if (wanted->all)
		return read_all(lv);
	for (size_t i = 0; r == 0 && i < wanted->count; i++)
		r = read_one(lv, wanted->uuids[i]);
	return r;
}

/* ---- posting ------------------------------------------------------------------------------ */

static int copy_all(const struct pf_guests *from, struct pf_guests *to)
{
	for (size_t i = 0; i < from->count; i++) {
		struct pf_guest *item = pf_append(&to->items, &to->count);

		if (!item || pf_guest_copy(item, &from->items[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* One guest's news: what it is now, or that it does not run. */
static int tell_guest(struct pf_libvirt_news *news, const struct pf_guests *now, const char *uuid)
{
	PF_CLEANUP(pf_guest_clear) struct pf_guest copy = {};
	const struct pf_guest *guest = pf_guests_find(now, uuid);
	char(*gone)[37];

	if (guest)
		return pf_guest_copy(&copy, guest) < 0 ? -ENOMEM
						       : pf_guests_put(&news->guests, &copy);
	pf_guests_remove(&news->guests, uuid);
	if (news->all)
		return 0;
	gone = pf_append(&news->gone, &news->gone_count);
	if (!gone)
		return -ENOMEM;
	snprintf(*gone, sizeof(*gone), "%s", uuid);
	return 0;
}

/* What was read, into what the owner has not taken yet. */
static int add_news(struct pf_libvirt *lv, const struct pf_lv_wanted *read, uint64_t ticket)
{
	int r = 0;

	if (read->all) {
		pf_libvirt_news_clear(&lv->posted);
		lv->posted.all = true;
		r = copy_all(&lv->guests, &lv->posted.guests);
	}
	for (size_t i = 0; r == 0 && !read->all && i < read->count; i++)
		r = tell_guest(&lv->posted, &lv->guests, read->uuids[i]);
	if (r < 0) {
		pf_libvirt_news_clear(&lv->posted);
		lv->has_posted = false;
		return r;
	}
	lv->posted.ticket = ticket;
	lv->has_posted = true;
	return 0;
}

/* Return: 0, or -ENOMEM: everything must be read and posted anew. */
static int post(struct pf_libvirt *lv, const struct pf_lv_wanted *read, uint64_t ticket)
{
	int r;

	pthread_mutex_lock(&lv->lock);
	r = add_news(lv, read, ticket);
	pthread_mutex_unlock(&lv->lock);
	if (r == 0)
		pf_lv_raise_fd(lv->post_fd);
	return r;
}

/* Moves what the owner asked for to what is to be read. Return: the ticket that will satisfy. */
static uint64_t take_asked(struct pf_libvirt *lv)
{
	uint64_t ticket;

	pthread_mutex_lock(&lv->lock);
	if (lv->asked.all)
		pf_lv_want(&lv->dirty, NULL);
	for (size_t i = 0; i < lv->asked.count; i++)
		pf_lv_want(&lv->dirty, lv->asked.uuids[i]);
	pf_lv_wanted_clear(&lv->asked);
	ticket = lv->tickets;
	pthread_mutex_unlock(&lv->lock);
	return ticket;
}

bool pf_lv_is_asked(struct pf_libvirt *lv)
{
	bool asked;

	pthread_mutex_lock(&lv->lock);
	asked = lv->asked.all || lv->asked.count;
	pthread_mutex_unlock(&lv->lock);
	return asked;
}

void pf_lv_read_and_post(struct pf_libvirt *lv)
{
	uint64_t ticket = take_asked(lv);
	struct pf_lv_wanted wanted = lv->dirty;
	int r;

	lv->dirty = (struct pf_lv_wanted){};
	lv->read_at = NEVER;
	pf_lv_call_begin(lv);
	r = read_wanted(lv, &wanted);
	pf_lv_call_end(lv);
	if (r == 0)
		r = post(lv, &wanted, ticket);
	if (r == 0 && wanted.all)
		lv->sweep_at =
			pf_lv_now_usec() + (lv->watched >= 0 ? SWEEP_USEC : SWEEP_BLIND_USEC);
	pf_lv_wanted_clear(&wanted);
	if (r == 0)
		return;
	/* A full read makes good for all that was wanted, tickets included. */
	pf_lv_want(&lv->dirty, NULL);
	lv->read_at = pf_lv_now_usec() + BACKOFF_MIN_USEC;
	if (r == -ENOTCONN && !lv->lost) {
		lv->lost = true;
		snprintf(lv->lost_why, sizeof(lv->lost_why), "%s", pf_lv_says());
	}
}
