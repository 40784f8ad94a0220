/* SPDX-License-Identifier: GPL-2.0 */
/* Xen's public headers, and of its structs what a 32-bit caller passes. */
#ifndef VIGIL_XEN_PUBLIC_H
#define VIGIL_XEN_PUBLIC_H

/* Without it the headers give names of interfaces that are long gone. */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>

#include <xen/arch-x86/cpuid.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include <xen/foreign/x86_32.h>
#include <xen/foreign/x86_64.h>

#endif
