/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this folder share about a handle. Not for others. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/loader.h"

#define PF_LINKS_MAX 2

/* The maps that outlive a process; the order is the one of pf_map_names. */
enum pf_map {
	PF_MAP_POLICY,
	PF_MAP_COUNTERS,
	PF_MAP_CARRIED,
	PF_MAP_RING,
	PF_MAP_RECORDS,
	PF_MAP_WATCHED,
	PF_MAP_ACTS,
	PF_MAPS,
};

extern const char *const pf_map_names[PF_MAPS];

/* A capability's programs; one that the kernel refuses makes the capability unavailable. */
struct pf_hooks {
	const char *name;
	const char *program[PF_LINKS_MAX];
	uint32_t hook; /* enum pf_hook */
	const char *gives;
	const char *fallback;
};

extern const struct pf_hooks pf_hooks[];
extern const size_t pf_hooks_count;
#define PF_HOOK_MIGRATE_ROW 0
#define PF_HOOK_SETTLE_ROW 1

/* A generation of programs: maps, links and the mapped policy. fds are -1 when absent. */
struct pf_generation {
	int map[PF_MAPS];
	int link[PF_CAPABILITIES_MAX][PF_LINKS_MAX];
	struct pf_policy *policy;
	const struct pf_record *records; /* the lanes, record_bytes long */
	size_t record_bytes;
};

struct pf_reader;

struct pf_bpf {
	struct pf_generation now;
	struct pf_hook_capability capability[PF_CAPABILITIES_MAX];
	struct pf_reader *reader;
	unsigned int waits; /* for a number without a record */
	enum pf_bpf_origin origin;
	int lock; /* the pins' folder, flocked; -1 without pins */
	int cpus; /* possible ones: rows of a per-CPU value */
	pf_bpf_record_fn on_record;
	void *arg;
};

void pf_generation_init(struct pf_generation *g);
void pf_generation_release(struct pf_generation *g);

/* Maps the policy of a generation whose map fds are there, then its lanes. */
int pf_generation_map_policy(struct pf_generation *g, struct pf_err *err);
int pf_generation_map_records(struct pf_generation *g, struct pf_err *err);

/* Loads and attaches this build's programs; live stays 0. */
int pf_generation_load(struct pf_generation *g, const struct pf_bpf_options *options,
		       struct pf_err *err);

/* Begins to keep what libbpf complains about, on this thread; the first of it is the cause. */
void pf_complaint_begin(void);
const char *pf_complaint(void);

/* A number that changes with the object file. */
uint64_t pf_build(void);

/* ---- pins.c: PATH/v<ABI>/{map names} and PATH/v<ABI>/link-<program> ---- */

/* Opens and locks @path. Return: fd, -EBUSY, -ENODEV when it is in no bpffs. */
int pf_pins_lock(const char *path, struct pf_err *err);

/* Opens what is pinned in @path/@version. Return: 0, -ENOENT none, -ESTALE damaged. */
int pf_pins_get(int lock, const char *version, struct pf_generation *g, struct pf_err *err);

/* Pins everything of @g below @version, which must not exist. */
int pf_pins_put(int lock, const char *path, const char *version, const struct pf_generation *g,
		struct pf_err *err);

/* The guard's folder beside the versions, and how the one that is being made begins, too. */
#define PF_GUARD_PINS "guard"

/* Removes a version with all that is in it. Return: 0, or -ENOENT. */
int pf_pins_remove(int lock, const char *version, struct pf_err *err);

/* Removes every version but @keep (NULL: all). Return: how many, or -errno. */
int pf_pins_remove_others(int lock, const char *keep, struct pf_err *err);

/* ---- lanes.c: the records of all lanes and the ring, in the order of their numbers ---- */

/**
 * pf_reader_new - reads the records of a generation
 * @g: outlives the reader; one reader at a time
 * @out: owned by the caller, ends with pf_reader_free()
 */
int pf_reader_new(const struct pf_generation *g, pf_bpf_record_fn fn, void *arg,
		  struct pf_reader **out, struct pf_err *err);
void pf_reader_free(struct pf_reader **reader);

/* An epoll fd, readable when the programs rang. */
int pf_reader_fd(const struct pf_reader *reader);

/* Hands over what is there. Return: how many, or what the callback returned. */
int pf_reader_drain(struct pf_reader *reader, struct pf_err *err);

/* Whether every number up to @seq has been handed over, as far as this reader knows. */
bool pf_reader_has_all(const struct pf_reader *reader, uint64_t seq);

/* Gives up on numbers up to @seq that haven't come. */
void pf_reader_skip(struct pf_reader *reader, uint64_t seq);
