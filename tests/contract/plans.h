/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans and the ledger on any struct pf_cgroup: checks of the suite. */
#pragma once

#include "tests/contract/suite.h"

enum pf_contract_result plans_come_true_and_are_released(struct pf_contract *t);
enum pf_contract_result plans_that_fail_are_undone(struct pf_contract *t);

/*
 * The process that carries out a plan is killed after each of its changes in turn: another one makes
 * the plan come true, and puts back what the first had found.
 */
enum pf_contract_result plans_survive_a_kill_after_any_change(struct pf_contract *t);
