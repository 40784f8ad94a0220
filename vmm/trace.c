// SPDX-License-Identifier: GPL-2.0
/* The code behind the tracepoints, and the names of exit reasons. */
#include <uapi/asm/svm.h>
#include <uapi/asm/vmx.h>

#define CREATE_TRACE_POINTS
#include "trace.h"
