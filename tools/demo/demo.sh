#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# demo.sh [--cpu C|--here|--files] [--pv] [ARG...]: runs `vigil demo ARG...' in an emulated
# host. It fetches and builds everything that this needs first.
#
#   --cpu C   of the emulated host: svm (default), svm-bochs, vmx
#   --here    on this machine, which has vigil.ko loaded
#   --files   build only, and say where the files are
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
pv=
[ "$1" != --pv ] || pv=y

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
step "Debian's 6.1 kernel, for the guest"
kernel=$("$testbed/kernel" 6.1 image)
kdir=$("$testbed/kernel" 6.1 kdir)
release=$("$testbed/kernel" 6.1 release)

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

set -- --kernel "$kernel" --rootkit "$work/rootkit-small.ko" "$@"
case $where in
files)
	echo "$top/tools/vigil/vigil demo $*"
	;;
here)
	exec "$top/tools/vigil/vigil" demo "$@"
	;;
*)
	step "the emulated host"
	shift 4
	# On Bochs, take a host kernel that starts soon, and give the guests more time.
	case $cpu in
	svm) host="--kernel 6.1 --timeout 330" ;;
	*) host="--kernel small --timeout 1800" && set -- --timeout 900 "$@" ;;
	esac
	# shellcheck disable=SC2086
	exec "$testbed/run" --cpu "$cpu" $host \
		--file "$kernel:/demo/vmlinuz" \
		--file "$work/rootkit-small.ko:/demo/rootkit.ko" \
		-- vigil demo --kernel /demo/vmlinuz --rootkit /demo/rootkit.ko "$@"
	;;
esac
