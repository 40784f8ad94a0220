# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Completion of vigil(1) for bash. Commands and options come from --help, so they are those of
# the installed vigil.

_vigil_commands() {
	vigil --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_vigil_options() { # COMMAND, or nothing
	vigil ${1:+"$1"} --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+=?' | sort -u
}

_vigil_vms() {
	vigil list 2>/dev/null | awk 'NR > 1 { print $2 == "-" ? $1 : $2 }'
}

_vigil() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd='' i
	COMPREPLY=()
	# With = in COMP_WORDBREAKS, --name=x is three words.
	if [ "$cur" = = ]; then
		cur=''
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-D | --device) ((i++)) ;;
		-* | =) ;;
		*)
			cmd=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	case $prev in
	-s | --step | --skip)
		[ "$cmd" = hwreport ] && mapfile -t COMPREPLY < <(compgen -W \
			"$(vigil hwreport --list 2>/dev/null | cut -d' ' -f1)" -- "$cur") && return
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-D | --device | --initrd | --kernel | --rootkit | --busybox | --symbols | -k | -o | \
		--output | --debug-module | --kit)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-a | --action)
		[ "$cmd" = watch ] &&
			mapfile -t COMPREPLY < <(compgen -W 'log ask deny' -- "$cur") && return
		;;
	--refuse)
		mapfile -t COMPREPLY < <(compgen -W 'deny gp pf kill' -- "$cur")
		return
		;;
	--control)
		mapfile -t COMPREPLY < <(compgen -W \
			'idtr gdtr ldtr tr cr0 cr3 cr4 msr:LSTAR msr:STAR msr:CSTAR msr:SFMASK msr:EFER
			msr:SYSENTER_CS msr:SYSENTER_ESP msr:SYSENTER_EIP
			trap-table fast-trap gdt stack callback iopl table-load call:' -- "$cur")
		return
		;;
	:) # msr:NAME is three words
		mapfile -t COMPREPLY < <(compgen -W \
			'LSTAR STAR CSTAR SFMASK EFER SYSENTER_CS SYSENTER_ESP SYSENTER_EIP' -- "$cur")
		return
		;;
	--when)
		mapfile -t COMPREPLY < <(compgen -W \
			'rip cpl cr3 vcpu value changed unchanged any' -- "$cur")
		return
		;;
	--on-death | --on-timeout)
		mapfile -t COMPREPLY < <(compgen -W 'allow deny pause' -- "$cur")
		return
		;;
	--on-reset)
		mapfile -t COMPREPLY < <(compgen -W 'exit reboot' -- "$cur")
		return
		;;
	esac
	case $cur in
	-*)
		mapfile -t COMPREPLY < <(compgen -W "$(_vigil_options "$cmd")" -- "$cur")
		[[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
		return
		;;
	esac
	case $cmd in
	'' | help) mapfile -t COMPREPLY < <(compgen -W "$(_vigil_commands)" -- "$cur") ;;
	run) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	xtf) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
	list | demo | hwreport) ;;
	*) mapfile -t COMPREPLY < <(compgen -W "$(_vigil_vms)" -- "$cur") ;;
	esac
}

complete -o filenames -F _vigil vigil
