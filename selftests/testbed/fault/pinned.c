// SPDX-License-Identifier: GPL-2.0
/*
 * The same faults in a module with the name of the module that the testbed
 * unloads.
 */
#include "fault.c"
