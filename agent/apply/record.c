// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/apply/record.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/array.h"
#include "agent/base/cleanup.h"

static void knob_clear(struct pf_record_knob *knob)
{
	free(knob->group);
	free(knob->knob);
	free(knob->unit);
	free(knob->found);
	free(knob->wrote);
	free(knob->writing);
}

static void thread_clear(struct pf_record_thread *thread)
{
	free(thread->group);
	free(thread->moved_to);
}

void pf_record_drop(struct pf_record *record)
{
	for (size_t i = 0; i < record->made_count; i++)
		free(record->made[i]);
	for (size_t i = 0; i < record->knob_count; i++)
		knob_clear(&record->knobs[i]);
	for (size_t i = 0; i < record->thread_count; i++)
		thread_clear(&record->threads[i]);
	free(pf_take_ptr(record->brought_back));
	free(record->made);
	free(record->knobs);
	free(record->threads);
	record->made = NULL;
	record->knobs = NULL;
	record->threads = NULL;
	record->made_count = record->knob_count = record->thread_count = 0;
}

void pf_record_clear(struct pf_record *record)
{
	pf_record_drop(record);
	*record = (struct pf_record){};
}

bool pf_record_blank(const struct pf_record *record)
{
	return !record->made_count && !record->knob_count && !record->thread_count;
}

struct pf_record_knob *pf_record_knob_find(const struct pf_record *record, const char *group,
					   const char *knob)
{
	for (size_t i = 0; i < record->knob_count; i++)
		if (strcmp(record->knobs[i].group, group) == 0 &&
		    strcmp(record->knobs[i].knob, knob) == 0)
			return &record->knobs[i];
	return NULL;
}

struct pf_record_thread *pf_record_thread_find(const struct pf_record *record, pid_t tid,
					       uint64_t start_ticks)
{
	for (size_t i = 0; i < record->thread_count; i++)
		if (record->threads[i].tid == tid && record->threads[i].start_ticks == start_ticks)
			return &record->threads[i];
	return NULL;
}

bool pf_record_made(const struct pf_record *record, const char *group)
{
	for (size_t i = 0; i < record->made_count; i++)
		if (strcmp(record->made[i], group) == 0)
			return true;
	return false;
}

/* Order is kept, and capacity stays what pf_append() takes it for: counts only shrink. */
static void close_gap(void *items, size_t i, size_t *count, size_t size)
{
	char *at = (char *)items + i * size;

	memmove(at, at + size, (*count - i - 1) * size);
	(*count)--;
}

void pf_record_knob_remove(struct pf_record *record, size_t i)
{
	knob_clear(&record->knobs[i]);
	close_gap(record->knobs, i, &record->knob_count, sizeof(*record->knobs));
}

void pf_record_thread_remove(struct pf_record *record, size_t i)
{
	thread_clear(&record->threads[i]);
	close_gap(record->threads, i, &record->thread_count, sizeof(*record->threads));
}

void pf_record_made_remove(struct pf_record *record, size_t i)
{
	free(record->made[i]);
	close_gap(record->made, i, &record->made_count, sizeof(*record->made));
}

/* --- from JSON ------------------------------------------------------------------------------ */

static void clear_json(json_t **json)
{
	json_decref(*json);
}

static int bad(struct pf_err *err, const char *what)
{
	return pf_fail_plain(err, EBADMSG, "'%s' is missing or not what it should be", what);
}

/* A string; @optional ones may be null or missing. */
static int take_text(const json_t *object, const char *key, bool optional, char **out,
		     struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (optional && (!value || json_is_null(value)))
		return 0;
	if (!json_is_string(value))
		return bad(err, key);
	*out = strdup(json_string_value(value));
	return *out ? 0 : pf_fail(err, ENOMEM, "read '%s'", key);
}

static int take_set(const json_t *object, const char *key, bool *has, struct pf_set *out,
		    struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (has && (!value || json_is_null(value)))
		return 0;
	if (!json_is_string(value) || pf_set_parse(json_string_value(value), out, NULL) < 0)
		return bad(err, key);
	if (has)
		*has = true;
	return 0;
}

static int take_number(const json_t *object, const char *key, long long *out, struct pf_err *err)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return bad(err, key);
	*out = json_integer_value(value);
	return 0;
}

static int take_knob(const json_t *json, struct pf_record *record, struct pf_err *err)
{
	struct pf_record_knob *knob = pf_append(&record->knobs, &record->knob_count);
	int r;

	if (!knob)
		return pf_fail(err, ENOMEM, "read a knob");
	r = take_text(json, "group", false, &knob->group, err);
	r = r ?: take_text(json, "knob", false, &knob->knob, err);
	r = r ?: take_text(json, "unit", true, &knob->unit, err);
	r = r ?: take_text(json, "found", true, &knob->found, err);
	r = r ?: take_text(json, "wrote", true, &knob->wrote, err);
	return r ?: take_text(json, "writing", true, &knob->writing, err);
}

static int take_thread(const json_t *json, struct pf_record *record, struct pf_err *err)
{
	struct pf_record_thread *thread = pf_append(&record->threads, &record->thread_count);
	long long tid = 0, start = 0;
	int r;

	if (!thread)
		return pf_fail(err, ENOMEM, "read a thread");
	r = take_number(json, "tid", &tid, err);
	r = r ?: take_number(json, "start_ticks", &start, err);
	thread->tid = (pid_t)tid;
	thread->start_ticks = (uint64_t)start;
	r = r ?: take_text(json, "group", false, &thread->group, err);
	r = r ?: take_set(json, "cpus", NULL, &thread->cpus, err);
	r = r ?: take_text(json, "moved_to", true, &thread->moved_to, err);
	r = r ?: take_set(json, "wrote", &thread->has_wrote, &thread->wrote, err);
	return r ?: take_set(json, "writing", &thread->has_writing, &thread->writing, err);
}

static int take_made(const json_t *json, struct pf_record *record, struct pf_err *err)
{
	char **slot;

	if (!json_is_string(json))
		return bad(err, "made");
	slot = pf_append(&record->made, &record->made_count);
	if (slot)
		*slot = strdup(json_string_value(json));
	return slot && *slot ? 0 : pf_fail(err, ENOMEM, "read a group");
}

/* Absent where no operator chose one. */
static int take_mode(const json_t *json, struct pf_record *record, struct pf_err *err)
{
	const json_t *value = json_object_get(json, "mode");

	if (!value || json_is_null(value))
		return 0;
	record->has_mode = json_is_string(value) &&
			   pf_mode_parse(json_string_value(value), &record->mode);
	return record->has_mode ? 0 : bad(err, "mode");
}

static int take_each(const json_t *object, const char *key, struct pf_record *record,
		     int (*take)(const json_t *json, struct pf_record *record, struct pf_err *err),
		     struct pf_err *err)
{
	const json_t *array = json_object_get(object, key);
	int r = 0;

	if (!json_is_array(array))
		return bad(err, key);
	for (size_t i = 0; !r && i < json_array_size(array); i++)
		r = take(json_array_get(array, i), record, err);
	return r;
}

static json_malloc_t plain_malloc;
static bool short_of_memory;

static void *watched_malloc(size_t size)
{
	void *block = plain_malloc(size);

	short_of_memory |= !block;
	return block;
}

/*
 * jansson 2.14 leaves characters out of a string when its buffer cannot grow, and calls that
 * success; a page that only looks damaged would be set aside for good. So its allocations are watched.
 */
static int parse_json(const char *text, json_t **out, json_error_t *where)
{
	json_free_t plain_free;

	json_get_alloc_funcs(&plain_malloc, &plain_free);
	json_set_alloc_funcs(watched_malloc, plain_free);
	short_of_memory = false;
	*out = json_loads(text, JSON_REJECT_DUPLICATES, where);
	json_set_alloc_funcs(plain_malloc, plain_free);
	if (short_of_memory) {
		json_decref(*out);
		*out = NULL;
		return -ENOMEM;
	}
	return *out ? 0 : -EBADMSG;
}

int pf_record_parse(const char *text, struct pf_record *out, struct pf_err *err)
{
	PF_CLEANUP(pf_record_clear) struct pf_record record = {};
	PF_CLEANUP(clear_json) json_t *json = NULL;
	const char *uuid;
	long long pid = 0;
	json_error_t where;
	int r;

	r = parse_json(text, &json, &where);
	if (r == -ENOMEM)
		return pf_fail(err, ENOMEM, "read the record");
	if (r < 0)
		return pf_fail_plain(err, EBADMSG, "line %d: %s", where.line, where.text);
	uuid = json_string_value(json_object_get(json, "uuid"));
	if (!uuid || strlen(uuid) >= sizeof(record.uuid))
		return bad(err, "uuid");
	snprintf(record.uuid, sizeof(record.uuid), "%s", uuid);
	if (!json_is_boolean(json_object_get(json, "released")))
		return bad(err, "released");
	record.released = json_is_true(json_object_get(json, "released"));
	r = take_mode(json, &record, err);
	r = r ?: take_number(json, "pid", &pid, err);
	record.pid = (pid_t)pid;
	r = r ?: take_text(json, "brought_back", true, &record.brought_back, err);
	r = r ?: take_each(json, "made", &record, take_made, err);
	r = r ?: take_each(json, "knobs", &record, take_knob, err);
	r = r ?: take_each(json, "threads", &record, take_thread, err);
	if (r < 0)
		return r;
	*out = record;
	record = (struct pf_record){};
	return 0;
}

/* --- to JSON -------------------------------------------------------------------------------- */

static json_t *knob_json(const struct pf_record_knob *knob, json_error_t *why)
{
	return json_pack_ex(why, 0, "{s:s, s:s, s:s?, s:s?, s:s?, s:s?}", "group", knob->group,
			    "knob", knob->knob, "unit", knob->unit, "found", knob->found, "wrote",
			    knob->wrote, "writing", knob->writing);
}

static json_t *thread_json(const struct pf_record_thread *thread, json_error_t *why)
{
	pf_auto_free char *text = malloc(3 * PF_SET_TEXT_MAX);
	char *cpus = text, *wrote = text + PF_SET_TEXT_MAX, *writing = text + 2 * PF_SET_TEXT_MAX;

	if (!text)
		return NULL;
	pf_set_format(&thread->cpus, cpus, PF_SET_TEXT_MAX);
	pf_set_format(&thread->wrote, wrote, PF_SET_TEXT_MAX);
	pf_set_format(&thread->writing, writing, PF_SET_TEXT_MAX);
	return json_pack_ex(why, 0, "{s:i, s:I, s:s, s:s, s:s?, s:s?, s:s?}", "tid",
			    (int)thread->tid, "start_ticks", (json_int_t)thread->start_ticks,
			    "group", thread->group, "cpus", cpus, "moved_to", thread->moved_to,
			    "wrote", thread->has_wrote ? wrote : NULL, "writing",
			    thread->has_writing ? writing : NULL);
}

/* Return: 0; -EILSEQ for what is not UTF-8; -ENOMEM. */
static int fill_arrays(const struct pf_record *record, json_t *made, json_t *knobs, json_t *threads)
{
	json_error_t why = {};
	int r = 0;

	for (size_t i = 0; !r && i < record->made_count; i++)
		r = json_array_append_new(made, json_pack_ex(&why, 0, "s", record->made[i]));
	for (size_t i = 0; !r && i < record->knob_count; i++)
		r = json_array_append_new(knobs, knob_json(&record->knobs[i], &why));
	for (size_t i = 0; !r && i < record->thread_count; i++)
		r = json_array_append_new(threads, thread_json(&record->threads[i], &why));
	if (!r)
		return 0;
	return *why.text && json_error_code(&why) == json_error_invalid_utf8 ? -EILSEQ : -ENOMEM;
}

/*
 * json_dumps() of jansson 2.14 leaves characters out when its buffer cannot grow (an allocation that
 * fails between two of them), and calls that success: the buffer is ours, then.
 */
static char *format_json(const json_t *json)
{
	size_t size = json_dumpb(json, NULL, 0, JSON_INDENT(1));
	char *text = size ? malloc(size + 1) : NULL;

	if (!text)
		return NULL;
	if (json_dumpb(json, text, size, JSON_INDENT(1)) != size) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

int pf_record_format(const struct pf_record *record, char **out, struct pf_err *err)
{
	PF_CLEANUP(clear_json) json_t *made = json_array();
	PF_CLEANUP(clear_json) json_t *knobs = json_array();
	PF_CLEANUP(clear_json) json_t *threads = json_array();
	PF_CLEANUP(clear_json) json_t *json = NULL;
	char *text;
	int r = made && knobs && threads ? fill_arrays(record, made, knobs, threads) : -ENOMEM;

	if (r == -ENOMEM)
		return pf_fail(err, ENOMEM, "write the record of guest %s", record->uuid);
	if (r < 0)
		return pf_fail_plain(err, EILSEQ,
				     "write the record of guest %s: a cgroup's name is not UTF-8",
				     record->uuid);
	json = json_pack("{s:s, s:i, s:b, s:s*, s:s*, s:O, s:O, s:O}", "uuid", record->uuid, "pid",
			 (int)record->pid, "released", record->released, "brought_back",
			 record->brought_back, "mode",
			 record->has_mode ? pf_mode_name(record->mode) : NULL, "made", made,
			 "knobs", knobs, "threads", threads);
	text = json ? format_json(json) : NULL;
	if (!text)
		return pf_fail(err, ENOMEM, "write the record of guest %s", record->uuid);
	*out = text;
	return 0;
}
