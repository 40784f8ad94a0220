# SPDX-License-Identifier: GPL-2.0
#
# `make help` lists what there is.

KDIR	?=
# Where the module is built: several kernels' builds of one tree stay apart.
MODOUT	?= $(CURDIR)/build/module
WERROR	?= 0
DEBUG	?= 0
DESTDIR	?=
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
UDEVDIR	?= /etc/udev/rules.d
UNITDIR	?= /etc/systemd/system
VERSION	:= $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
TESTBED	:= selftests/testbed
ROOT	:= $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
MODDIRS	:= vmm svm vmx shadow uapi
CFILES	 = $(shell git ls-files --cached --others --exclude-standard '*.[ch]')

ifeq ($(V),)
MAKEFLAGS += --no-print-directory
endif

all: module tools

help:
	@echo 'Build:'
	@echo '  all (default)       vigil.ko and the tools'
	@echo '  module              vigil.ko; KDIR= the kernel build tree (default: the running'
	@echo '                      kernel, or Debian'"'"'s stock one, fetched when missing),'
	@echo '                      MODOUT= where to build, WERROR=1 for W=1 -Werror,'
	@echo '                      DEBUG=1 with auditors, LLVM=1 for a kernel built so'
	@echo '  tools               the command vigil, and libvigil'
	@echo '  selftests           the test programs'
	@echo '  clean'
	@echo 'Use:'
	@echo '  install, uninstall  module, tools, libvigil, udev rule, systemd unit, completion,'
	@echo '                      manual pages (DESTDIR=, PREFIX=, LIBDIR=); install-user: all'
	@echo '                      but the module'
	@echo '  dkms-install        module by DKMS, rebuilt with each kernel; tools (KVER= another'
	@echo '                      kernel than the running one)'
	@echo '  demo                the main job in an emulated host, nothing else needed'
	@echo '                      (CPU=vmx: on Intel'"'"'s extension, under 25 minutes);'
	@echo '                      GUEST=i386 or i386-pae: a 32-bit kernel in the guest;'
	@echo '                      DEMO=pv: paravirtual guests instead, under 3 minutes'
	@echo '  shell               a terminal in an emulated host where a guest runs, to try'
	@echo '                      vigil in (CPU=vmx: on Intel'"'"'s extension); Ctrl-A X leaves'
	@echo 'Test:'
	@echo '  check               everything: what .ci/run runs'
	@echo '  check-full          that and what takes hours: all rounds, all on VMX'
	@echo '  check-unit          decoder, emulator, walker: in userspace, no host needed'
	@echo '  check-models        models of the lock-free protocols: every interleaving (spin)'
	@echo '  check-kvm-selftests the kernel'"'"'s own KVM selftests on /dev/vigil'
	@echo '  bench               vigil beside stock KVM: instructions an operation'
	@echo '                      (BENCH_ARGS=--json, --help; CPU=vmx)'
	@echo '  hwreport            what `vigil hwreport'"'"' needs, into build/hwreport: the report'
	@echo '                      on a real host (DEBUG_MODULE= a debug build of the module)'
	@echo '  style               clang-format with the kernel'"'"'s rules; each header stands'
	@echo '                      alone; no code that nobody uses; checkpatch.pl'
	@echo '  style-quick         the same of what differs from main (BASE= from another'
	@echo '                      commit), in seconds; it builds no module'
	@echo '  format              applies clang-format'
	@echo '  sparse              the module under sparse'
	@echo '  kernel-small, kernel-debug, kernel-small-clang'
	@echo '                      build a testbed kernel into the cache (done on demand)'
	@echo 'In an emulated host: selftests/testbed/run --help'

# --- module

# A farm of links: objects land beside the links, not beside the sources.
farm:
	@mkdir -p '$(MODOUT)'
	@cd '$(ROOT)' && find $(MODDIRS) -name '*.[chS]' ! -name asm-offsets.h | \
	while read -r f; do \
		[ -L '$(MODOUT)'/"$$f" ] || { mkdir -p '$(MODOUT)'/"$${f%/*}" && \
			ln -sf '$(ROOT)'/"$$f" '$(MODOUT)'/"$$f"; }; \
	done
	@find '$(MODOUT)' -xtype l -delete
	@for f in Kbuild dkms.conf; do \
		[ -L '$(MODOUT)'/$$f ] || ln -sf '$(ROOT)'/$$f '$(MODOUT)'/$$f; \
	done

kbuild = kdir='$(KDIR)'; [ -n "$$kdir" ] || kdir=$$($(ROOT)/$(TESTBED)/kdir) && \
	$(MAKE) -C "$$kdir" M='$(abspath $(MODOUT))' \
		$(if $(filter 1,$(WERROR)),W=1 VIGIL_WERROR=y) \
		$(if $(filter 1,$(DEBUG)),VIGIL_DEBUG=y)

# objtool and sparse warn and go on: what they say of our files fails a strict build.
strict = log='$(MODOUT)/$@.log'; \
	($(kbuild) $(1) modules) >"$$log" 2>&1 || { cat "$$log"; exit 1; }; \
	if grep -E '/($(subst $() ,|,$(MODDIRS)))/[^ ]*: (warning|error):|/vigil\.o: warning:' \
			"$$log"; then \
		find '$(MODOUT)' -name '*.o' -delete; \
		echo '$@: not clean' >&2; exit 1; \
	fi

module: farm
	@+$(if $(filter 1,$(WERROR)),$(strict),$(kbuild) modules)
	@$(if $(filter $(CURDIR)/build/module,$(MODOUT)),ln -sf build/module/vigil.ko vigil.ko)

sparse: farm
	@$(TESTBED)/packages check
	@+$(call strict,C=2 CF='-D__CHECK_ENDIAN__')

# --- userspace

tools:
	@$(TESTBED)/packages build
	@+$(MAKE) -C tools

# The examples of libvigil are built against what `make install' puts there.
selftests: tools
	@+$(MAKE) -C selftests

check-unit:
	@$(TESTBED)/packages build check
	@+$(MAKE) -C selftests/unit check

check-models:
	@selftests/models/run

# --- checks

style:
	@$(TESTBED)/packages check
	@clang-format --dry-run -Werror $(CFILES)
	@selftests/headers-test
	@selftests/includes-test
	@selftests/dead-code
	@selftests/checkpatch

style-quick:
	@$(TESTBED)/packages check
	@selftests/style-quick $(BASE)

format:
	@$(TESTBED)/packages check
	@clang-format -i $(CFILES)

check:
	@selftests/check

check-full:
	@selftests/check --full

check-kvm-selftests:
	@selftests/kvm-shim/run

demo:
	$(if $(filter-out pv,$(DEMO)),$(error there is no DEMO=$(DEMO): there is DEMO=pv, and \
		the rootkit without DEMO))
	$(if $(filter-out amd64 i386 i386-pae,$(GUEST)),$(error there is no GUEST=$(GUEST): there \
		are amd64, i386 and i386-pae))
	$(if $(and $(DEMO),$(GUEST)),$(error DEMO=pv makes its guests itself: leave GUEST out))
	@+tools/demo/demo.sh $(if $(CPU),--cpu $(CPU)) $(if $(DEMO),--pv) \
		$(if $(GUEST),--guest $(GUEST)) $(DEMO_ARGS)

# A tick is an instruction: of QEMU when it counts them, of Bochs always.
bench-host = $(if $(filter-out svm,$(CPU)),--cpu $(CPU) --timeout 3600,--icount --timeout 900)

bench:
	@$(TESTBED)/packages build
	@+$(MAKE) -s -C selftests/bench
	@$(TESTBED)/run $(bench-host) --peer --file build/bench/bench:/bin/bench \
		-- bench $(BENCH_ARGS)

hwreport: tools
	@+DEBUG_MODULE='$(DEBUG_MODULE)' tools/hwreport/kit
	@echo 'as root, with the module loaded: tools/vigil/vigil hwreport'

shell:
	@$(TESTBED)/packages build
	@+$(TESTBED)/run --shell $(if $(CPU),--cpu $(CPU)) $(SHELL_ARGS)

demo-files:
	@+tools/demo/demo.sh --files

kernel-%:
	@$(TESTBED)/kernel $*

# --- install

install: all
	@DESTDIR='$(DESTDIR)' tools/packaging/shadowed \
		"$$(modinfo -F vermagic '$(MODOUT)/vigil.ko' | cut -d' ' -f1)"
	@+kdir='$(KDIR)'; [ -n "$$kdir" ] || kdir=$$($(TESTBED)/kdir) && \
	$(MAKE) -C "$$kdir" M='$(abspath $(MODOUT))' \
		$(if $(DESTDIR),INSTALL_MOD_PATH='$(DESTDIR)') INSTALL_MOD_DIR=updates \
		CONFIG_MODULE_SIG_ALL= modules_install && \
	{ [ -n '$(DESTDIR)' ] || depmod "$$(modinfo -F vermagic '$(MODOUT)/vigil.ko' | cut -d' ' -f1)"; }
	@+$(MAKE) install-user

install-user: tools
	@+$(MAKE) -C tools install PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' DESTDIR='$(DESTDIR)' \
		UNITDIR='$(UNITDIR)'
	@[ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || ldconfig
	install -D -m 0644 tools/60-vigil.rules '$(DESTDIR)$(UDEVDIR)/60-vigil.rules'
	install -D -m 0644 uapi/vigil.h '$(DESTDIR)$(PREFIX)/include/linux/vigil.h'
	@if [ -z '$(DESTDIR)' ] && command -v udevadm >/dev/null; then \
		udevadm control --reload && udevadm trigger --sysname-match=vigil || true; \
	fi
	@if [ -z '$(DESTDIR)' ] && [ -d /run/systemd/system ]; then \
		systemctl daemon-reload || true; \
	fi

dkms-install: install-user
	@$(TESTBED)/apt-install dkms
	tools/packaging/dkms-install '$(VERSION)' $(KVER)

uninstall:
	@+$(MAKE) -C tools uninstall PREFIX='$(PREFIX)' LIBDIR='$(LIBDIR)' DESTDIR='$(DESTDIR)' \
		UNITDIR='$(UNITDIR)'
	rm -f '$(DESTDIR)$(UDEVDIR)/60-vigil.rules' '$(DESTDIR)$(PREFIX)/include/linux/vigil.h'
	rm -f '$(DESTDIR)'/lib/modules/*/updates/vigil.ko*
	@if [ -z '$(DESTDIR)' ] && command -v dkms >/dev/null && \
	    dkms status vigil/$(VERSION) | grep -q .; then \
		dkms remove vigil/$(VERSION) --all; \
		rm -rf /usr/src/vigil-$(VERSION); \
	fi
	@[ -n '$(DESTDIR)' ] || depmod -a 2>/dev/null || true

clean:
	rm -rf build vigil.ko
	@+$(MAKE) -C tools clean
	@+$(MAKE) -C selftests clean
	@+[ ! -e selftests/unit/Makefile ] || $(MAKE) -C selftests/unit clean

.PHONY: all help farm module sparse tools selftests check-unit check-models style style-quick format check \
	check-full check-kvm-selftests bench hwreport demo shell demo-files install install-user dkms-install uninstall clean
