# SPDX-License-Identifier: MIT
# Completion of tsproxy for bash, with or without the package bash-completion. `tsproxy complete` knows what there is.

# The words from $1 on are a command line of its own.
_tsproxy_command() {
	if declare -F _comp_command_offset >/dev/null; then
		_comp_command_offset "$1"
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif ((COMP_CWORD > $1)); then
		compopt -o default
	elif [[ ${COMP_WORDS[COMP_CWORD]} == */* ]]; then
		compopt -o default
	else
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	fi
}

_tsproxy() {
	local cur=${COMP_WORDS[COMP_CWORD]} rest=$COMP_LINE line word space words=() starts=() found=() command=''
	local -i i
	COMPREPLY=()
	# Readline breaks words at = and : too. What no space parts is one word.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		space=${rest%%[![:space:]]*}
		rest=${rest#"$space"}
		rest=${rest#"${COMP_WORDS[i]}"}
		if [[ -n $space || i -eq 0 ]]; then
			words+=("${COMP_WORDS[i]}")
			starts+=("$i")
		else
			words[-1]+=${COMP_WORDS[i]}
		fi
	done
	[[ $cur == [=:] ]] && cur=''
	while IFS= read -r line; do
		case $line in
		'!command '*) command=${line#* } ;;
		'!files') compopt -o default ;;
		*)
			word=${line%%$'\t'*}
			[[ $word == "${words[-1]}"* ]] && found+=("${word#"${words[-1]%"$cur"}"}")
			;;
		esac
	done < <("${COMP_WORDS[0]}" complete "${words[@]:1}" 2>/dev/null)
	if [[ -n $command ]]; then
		_tsproxy_command "${starts[command + 1]}"
	fi
	COMPREPLY+=("${found[@]}")
}
complete -F _tsproxy tsproxy
