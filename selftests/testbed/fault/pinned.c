// SPDX-License-Identifier: GPL-2.0
/* The same faults in a module of the name that the testbed unloads. */
#include "fault.c"
