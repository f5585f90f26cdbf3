/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "agent/daemon/agent.h"

/*
 * Blocks the signals that the loop takes in by itself. Before any thread is started: a thread that
 * leaves them open would be ended by them. Return: 0 or -errno.
 */
int pf_loop_block_signals(void);

/**
 * pf_loop_run - serves until SIGTERM or SIGINT
 *
 * A pass over a guest runs when something was seen to be done to it, when libvirt has news of it and
 * when a time that it waits for has come; one over all at the configured interval and when libvirt
 * has told all anew. SIGHUP reads the configuration again. Tells systemd (sd_notify(3)) when it
 * is ready, reloading and stopping, and feeds its watchdog.
 *
 * Return: 0 or -errno when the loop could not be set up or broke.
 */
int pf_loop_run(struct pf_agent *agent, struct pf_err *err);

/**
 * pf_loop_once - waits for libvirt's first word, holds every guest, and returns
 *
 * Return: 0 when nothing is left to do, 1 when something is, -errno when libvirt did not answer
 * within 30 s.
 */
int pf_loop_once(struct pf_agent *agent, struct pf_err *err);
