/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans and the ledger on any struct pf_cgroup: checks of the suite. */
#pragma once

#include "tests/contract/suite.h"

enum pf_contract_result plans_come_true_and_are_released(struct pf_contract *t);
enum pf_contract_result plans_that_fail_are_undone(struct pf_contract *t);
