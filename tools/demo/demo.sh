#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# demo.sh [--cpu C|--here|--files] [--guest G|--pv] [ARG...]: runs `vigil demo ARG...' in an
# emulated host. It fetches and builds everything that this needs first.
#
#   --cpu C   of the emulated host: svm (default), svm-bochs, vmx
#   --here    on this machine, which has vigil.ko loaded
#   --files   build only, and say where the files are
#   --guest G the kernel of the guest, by Debian: amd64 (default); i386, which has no PAE;
#             i386-pae
#   --pv      the demo of paravirtual guests, which needs no files
set -e

top=$(cd "$(dirname "$0")/../.." && pwd)
testbed=$top/selftests/testbed
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vigil
where=emulated cpu=svm
case $1 in
--cpu) cpu=$2 && shift 2 ;;
--here | --files) where=${1#--} && shift ;;
esac
pv='' guest=amd64
case $1 in
--pv) pv=y ;;
--guest) guest=$2 && shift 2 ;;
esac
case $guest in
amd64) series=6.1 ;;
i386 | i386-pae) series=$guest ;;
*)
	echo "demo: there is no guest $guest: there are amd64, i386 and i386-pae" >&2
	exit 2
	;;
esac

step() {
	echo "demo: $*" >&2
}

step "packages"
"$testbed/packages" build testbed
if [ -n "$pv" ]; then
	step "the tools"
	make -s -C "$top/tools"
	case $where in
	files)
		echo "$top/tools/vigil/vigil demo $*"
		exit
		;;
	here) exec "$top/tools/vigil/vigil" demo "$@" ;;
	esac
	step "the emulated host"
	case $cpu in
	svm) host="--kernel 6.1 --timeout 170" ;;
	*) host="--kernel small --timeout 900" ;;
	esac
	# shellcheck disable=SC2086
	exec "$testbed/run" --cpu "$cpu" $host -- vigil demo "$@"
fi
step "Debian's 6.1 kernel of $guest, for the guest"
kernel=$("$testbed/kernel" $series image)
kdir=$("$testbed/kernel" $series kdir)
release=$("$testbed/kernel" $series release)
busybox=$("$testbed/kernel" $series busybox)

step "the tools"
make -s -C "$top/tools"
step "the rootkit, for $release"
work=$cache/demo-$release
mkdir -p "$work"
cp -u "$top/tools/demo/Kbuild" "$top/tools/demo/rootkit.c" "$work/"
make -s -C "$kdir" M="$work" modules >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	exit 1
}
# Without debug data the module has a quarter of its size.
strip --strip-debug -o "$work/rootkit-small.ko" "$work/rootkit.ko"

set -- --kernel "$kernel" --rootkit "$work/rootkit-small.ko" --busybox "$busybox" "$@"
case $where in
files)
	echo "$top/tools/vigil/vigil demo $*"
	;;
here)
	exec "$top/tools/vigil/vigil" demo "$@"
	;;
*)
	step "the emulated host"
	shift 6
	# On Bochs, take a host kernel that starts soon, and give the guests more time.
	case $cpu in
	svm) host="--kernel 6.1 --timeout 330" ;;
	*) host="--kernel small --timeout 1800" && set -- --timeout 900 "$@" ;;
	esac
	# shellcheck disable=SC2086
	exec "$testbed/run" --cpu "$cpu" $host \
		--file "$kernel:/demo/vmlinuz" \
		--file "$work/rootkit-small.ko:/demo/rootkit.ko" \
		--file "$busybox:/demo/busybox" \
		-- vigil demo --kernel /demo/vmlinuz --rootkit /demo/rootkit.ko \
		--busybox /demo/busybox "$@"
	;;
esac
