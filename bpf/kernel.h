/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few kernel types and fields that the programs read, relocated when loaded (CO-RE), so that
 * nothing of the building machine's kernel goes into the object. A field stands here only when a
 * program reads it; ___suffixed types are other kernels' layouts of the same type.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#define PF_ON_RQ_MIGRATING 2	 /* task_struct.on_rq, kernel/sched/sched.h */
#define PF_PF_KTHREAD 0x00200000 /* task_struct.flags, linux/sched.h */
#define PF_MAY_WRITE 2		 /* linux/fs.h */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
	const char *name;
	struct kernfs_node *parent;
};

struct kernfs_node___v615 { /* the parent became an RCU pointer */
	struct kernfs_node *__parent;
};

struct kernfs_open_file {
	struct kernfs_node *kn;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

typedef struct {
	unsigned int val;
} pf_kuid_t;

struct cred {
	pf_kuid_t uid;
};

struct thread_info {
	__u32 cpu;
};

struct rq {
	__u64 clock;
};

struct cfs_rq {
	struct rq *rq; /* CONFIG_FAIR_GROUP_SCHED */
};

struct sched_entity {
	__u64 sum_exec_runtime;
	struct cfs_rq *cfs_rq;
};

struct cpumask {
	unsigned long bits[1];
};

struct mm_struct;

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	/* 2: being migrated from one run queue to another, whose lock is held; unsigned, so that it
	 * may be read where it is a byte (7.x). */
	unsigned int on_rq;
	struct sched_entity se;
	struct mm_struct *mm;
	struct cpumask *user_cpus_ptr; /* kept by sched_setaffinity(2) from 6.2 on */
	int pid;
	int tgid;
	const struct cred *cred;
	char comm[16];
	struct css_set *cgroups;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct mm_struct {
	struct task_struct *owner; /* CONFIG_MEMCG */
	struct file *exe_file;
};

struct device {
	__u32 id; /* of a CPU's device: its number */
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

enum cpuhp_state {
	CPUHP_AP_ACTIVE = 1,
};

enum migrate_reason {
	MR_SYSCALL = 3,
	MR_MEMPOLICY_MBIND = 4,
	MR_NUMA_MISPLACED = 5,
};

#pragma clang attribute pop
