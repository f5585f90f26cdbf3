// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/apply/note.h"
#include "agent/base/array.h"
#include "agent/base/cleanup.h"
#include "agent/base/file.h"
#include "agent/base/hash.h"

#define SUFFIX ".json"

struct pf_ledger {
	char *dir;
	struct pf_record **records; /* each by itself: pointers to them stay good */
	size_t count;
};

/* Files are read below the root directory, and a daemon changes its own. */
static int make_absolute(char **dir, struct pf_err *err)
{
	char *absolute = realpath(*dir, NULL);

	if (!absolute)
		return pf_fail(err, errno, "look up %s", *dir);
	free(*dir);
	*dir = absolute;
	return 0;
}

int pf_ledger_open(const char *state_dir, struct pf_ledger **out, struct pf_err *err)
{
	struct pf_ledger *ledger = calloc(1, sizeof(*ledger));
	int r;

	if (!ledger || asprintf(&ledger->dir, "%s/guests", state_dir) < 0) {
		free(ledger);
		return pf_fail(err, ENOMEM, "open the ledger");
	}
	r = pf_mkdir_all(ledger->dir, 0700, err);
	r = r ?: make_absolute(&ledger->dir, err);
	if (r < 0)
		pf_ledger_free(&ledger);
	else
		*out = ledger;
	return r;
}

void pf_ledger_free(struct pf_ledger **ledger)
{
	if (!*ledger)
		return;
	for (size_t i = 0; i < (*ledger)->count; i++) {
		pf_record_clear((*ledger)->records[i]);
		free((*ledger)->records[i]);
	}
	free((*ledger)->records);
	free((*ledger)->dir);
	free(*ledger);
	*ledger = NULL;
}

/* A UUID becomes a file name: nothing else may. */
static bool is_uuid(const char *uuid)
{
	return *uuid && strlen(uuid) <= 36 &&
	       strspn(uuid, "0123456789abcdefABCDEF-") == strlen(uuid);
}

static int path_of(const struct pf_ledger *ledger, const char *uuid, char **out, struct pf_err *err)
{
	if (!is_uuid(uuid))
		return pf_fail_plain(err, EINVAL, "'%.60s' is not a UUID", uuid);
	if (asprintf(out, "%s/%s" SUFFIX, ledger->dir, uuid) < 0)
		return pf_fail(err, ENOMEM, "open the record of guest %s", uuid);
	return 0;
}

static int set_aside(const char *path, struct pf_err *err)
{
	pf_auto_free char *aside = NULL;

	if (asprintf(&aside, "%s.corrupt", path) < 0)
		return pf_fail(err, ENOMEM, "set %s aside", path);
	if (rename(path, aside) < 0)
		return pf_fail(err, errno, "set %s aside", path);
	pf_wrap(err,
		"%s cannot be understood and was set aside as *.corrupt: what was found before "
		"the first change of this guest is not known any more",
		path);
	return -EBADMSG;
}

/* @err is filled on failure only. Return: 0; -errno; -ENOENT when there is no file. */
static int read_whole(const char *path, char **out, struct pf_err *err)
{
	pf_auto_close int root = pf_root_open("/", err);
	struct pf_err own = {};
	int r = root < 0 ? root : pf_file_read(root, path, out, &own);

	if (root >= 0 && r < 0 && r != -ENOENT && err)
		*err = own;
	return r;
}

/* Fills @record from its file. Return: 0, also when there is none; -EBADMSG; -errno. */
static int load(const char *path, struct pf_record *record, struct pf_err *err)
{
	pf_auto_free char *text = NULL;
	char uuid[sizeof(record->uuid)];
	struct pf_err spare = {};
	int r = read_whole(path, &text, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!err)
		err = &spare; /* pf_wrap() hands back what it holds */
	memcpy(uuid, record->uuid, sizeof(uuid));
	r = pf_record_parse(text, record, err);
	if (!r && strcasecmp(uuid, record->uuid)) {
		r = pf_fail_plain(err, EBADMSG, "it is about guest %s", record->uuid);
		pf_record_clear(record);
		memcpy(record->uuid, uuid, sizeof(uuid));
	}
	return r == -EBADMSG ? set_aside(path, err) : r;
}

struct pf_record *pf_ledger_known(const struct pf_ledger *ledger, const char *uuid)
{
	for (size_t i = 0; i < ledger->count; i++)
		if (strcasecmp(ledger->records[i]->uuid, uuid) == 0)
			return ledger->records[i];
	return NULL;
}

int pf_ledger_record(struct pf_ledger *ledger, const char *uuid, struct pf_record **out,
		     struct pf_err *err)
{
	pf_auto_free char *path = NULL;
	struct pf_record *record = pf_ledger_known(ledger, uuid), **slot;
	int r;

	*out = record;
	if (record)
		return 0;
	r = path_of(ledger, uuid, &path, err);
	if (r < 0)
		return r;
	record = calloc(1, sizeof(*record));
	slot = record ? pf_append(&ledger->records, &ledger->count) : NULL;
	if (!slot) {
		free(record);
		return pf_fail(err, ENOMEM, "open the record of guest %s", uuid);
	}
	snprintf(record->uuid, sizeof(record->uuid), "%s", uuid);
	*slot = record;
	r = load(path, record, err);
	if (r == -ENOMEM) {
		/* Not a blank page in its place: the next to be saved would overwrite it. */
		pf_record_clear(record);
		free(record);
		ledger->count--;
		return r;
	}
	*out = record;
	return r;
}

/* What stands in the file already need not be put there again. */
int pf_ledger_save(struct pf_ledger *ledger, const struct pf_record *record, struct pf_err *err)
{
	pf_auto_free char *path = NULL, *text = NULL;
	struct pf_record *own = pf_ledger_known(ledger, record->uuid);
	int r = path_of(ledger, record->uuid, &path, err);
	uint64_t hash;

	r = r ?: pf_record_format(record, &text, err);
	if (r < 0)
		return r;
	hash = pf_hash_text(PF_HASH_START, text);
	if (own && own->saved == hash && access(path, F_OK) == 0)
		return 0;
	r = pf_file_replace(path, text, 0600, err);
	if (own)
		own->saved = r ? 0 : hash;
	return r;
}

/* --- what the agent asks for ---------------------------------------------------------------- */

int pf_ledger_adopt(struct pf_ledger *ledger, const char *uuid, pid_t pid, bool *released,
		    struct pf_err *err)
{
	struct pf_record *record = NULL;
	int r = pf_ledger_record(ledger, uuid, &record, err), saved = 0;

	if (!record) {
		*released = false;
		return r;
	}
	if (record->pid && record->pid != pid) {
		pf_record_drop(record);
		record->released = false;
		record->has_mode = false;
		record->pid = pid;
		saved = pf_ledger_save(ledger, record, r ? NULL : err);
	}
	record->pid = pid;
	*released = record->released;
	return r ?: saved;
}

int pf_ledger_set_released(struct pf_ledger *ledger, const char *uuid, bool released,
			   struct pf_err *err)
{
	struct pf_record *record = NULL;
	int r = pf_ledger_record(ledger, uuid, &record, err);

	if (!record || (r < 0 && r != -EBADMSG))
		return r;
	record->released = released;
	return pf_ledger_save(ledger, record, err);
}

int pf_ledger_set_mode(struct pf_ledger *ledger, const char *uuid, const enum pf_mode *mode,
		       struct pf_err *err)
{
	struct pf_record *record = NULL;
	int r = pf_ledger_record(ledger, uuid, &record, err);

	if (!record || (r < 0 && r != -EBADMSG))
		return r;
	record->has_mode = mode != NULL;
	if (mode)
		record->mode = *mode;
	return pf_ledger_save(ledger, record, err);
}

bool pf_ledger_mode(struct pf_ledger *ledger, const char *uuid, enum pf_mode *out)
{
	struct pf_record *record = NULL;

	pf_ledger_record(ledger, uuid, &record, NULL);
	if (!record || !record->has_mode)
		return false;
	*out = record->mode;
	return true;
}

bool pf_ledger_released(struct pf_ledger *ledger, const char *uuid)
{
	struct pf_record *record = NULL;

	pf_ledger_record(ledger, uuid, &record, NULL);
	return record && record->released;
}

bool pf_ledger_brought_back(struct pf_ledger *ledger, const char *uuid)
{
	struct pf_record *record = NULL;

	pf_ledger_record(ledger, uuid, &record, NULL);
	return record && record->brought_back;
}

int pf_ledger_forget(struct pf_ledger *ledger, const char *uuid, struct pf_err *err)
{
	pf_auto_free char *path = NULL;
	int r = path_of(ledger, uuid, &path, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ledger->count; i++) {
		if (strcasecmp(ledger->records[i]->uuid, uuid))
			continue;
		pf_record_clear(ledger->records[i]);
		free(ledger->records[i]);
		ledger->records[i] = ledger->records[--ledger->count];
		break;
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return pf_fail(err, errno, "remove %s", path);
	return 0;
}

static int sweep_guest(struct pf_ledger *ledger, struct pf_cgroup *cg, const char *uuid,
		       struct pf_err *err)
{
	PF_CLEANUP(pf_task_clear) struct pf_task task = {};
	struct pf_record *record = NULL;
	int r = pf_ledger_record(ledger, uuid, &record, err);

	if (r < 0 || !record->pid || cg->ops->task(cg, record->pid, &task, NULL) != -ESRCH)
		return r;
	return pf_ledger_forget(ledger, uuid, err);
}

/* What pf_file_replace() had not renamed yet when the agent was killed. */
static void sweep_half_written(const struct pf_ledger *ledger)
{
	static const char suffix[] = SUFFIX ".new";
	pf_auto_closedir DIR *dir = opendir(ledger->dir);

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		size_t len = strlen(entry->d_name);

		if (len >= sizeof(suffix) &&
		    strcmp(entry->d_name + len - (sizeof(suffix) - 1), suffix) == 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
}

int pf_ledger_sweep(struct pf_ledger *ledger, struct pf_cgroup *cg, struct pf_err *err)
{
	char **uuids = NULL;
	size_t count = 0;
	int first = pf_ledger_list(ledger, &uuids, &count, err);

	for (size_t i = 0; i < count; i++) {
		int r = sweep_guest(ledger, cg, uuids[i], first ? NULL : err);

		first = first ?: r;
	}
	pf_ledger_list_free(uuids, count);
	sweep_half_written(ledger);
	return first;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_entry(const char *name, char ***uuids, size_t *count)
{
	size_t len = strlen(name), suffix = strlen(SUFFIX);
	pf_auto_free char *uuid = NULL;
	char **slot;

	if (len <= suffix || strcmp(name + len - suffix, SUFFIX))
		return 0;
	uuid = strndup(name, len - suffix);
	if (!uuid)
		return -ENOMEM;
	if (!is_uuid(uuid))
		return 0;
	slot = pf_append(uuids, count);
	if (!slot)
		return -ENOMEM;
	*slot = pf_take_ptr(uuid);
	return 0;
}

int pf_ledger_list(struct pf_ledger *ledger, char ***uuids, size_t *count, struct pf_err *err)
{
	pf_auto_closedir DIR *dir = opendir(ledger->dir);
	char **found = NULL;
	size_t n = 0;
	int r = 0;

	if (!dir)
		return pf_fail(err, errno, "list %s", ledger->dir);
	for (struct dirent *entry; !r && (entry = readdir(dir));)
		r = list_entry(entry->d_name, &found, &n);
	if (r < 0) {
		pf_ledger_list_free(found, n);
		return pf_fail(err, r, "list %s", ledger->dir);
	}
	if (n)
		qsort(found, n, sizeof(*found), compare_texts);
	*uuids = found;
	*count = n;
	return 0;
}

void pf_ledger_list_free(char **uuids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(uuids[i]);
	free(uuids);
}
