# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the user sees: numbered steps with progress and elapsed time, and errors
# that say what happened, where the log is and what to do next. Sourced.
#
# Everything here goes to stderr, so that stdout carries results only.

if [[ -t 2 && ${TERM:-dumb} != dumb ]]; then
	ui_tty=1
else
	ui_tty=
fi
if [[ $ui_tty && -z ${NO_COLOR:-} ]]; then
	c_bold=$'\e[1m' c_red=$'\e[31m' c_dim=$'\e[2m' c_off=$'\e[0m'
else
	c_bold='' c_red='' c_dim='' c_off=''
fi

# The screen, also where a command's output goes elsewhere: an interrupt there is
# reported here.
exec 7>&2

step_no=0
step_total=0
step_name=
step_start=0
ui_ticker=
# What steps took, and since when.
ui_times=()
ui_said=$SECONDS

# "3 min 10 s" from a number of seconds.
duration() {
	local s=$1
	if ((s >= 3600)); then
		printf '%d h %d min' $((s / 3600)) $((s % 3600 / 60))
	elif ((s >= 60)); then
		printf '%d min %d s' $((s / 60)) $((s % 60))
	else
		printf '%d s' "$s"
	fi
}

# Opens the next step. The steps of a run are counted before it starts.
step() {
	step_no=$((step_no + 1))
	step_name=$1
	step_start=$SECONDS
}

step_prefix() {
	if ((step_total && step_no)); then
		printf '%s[%d/%d]%s %s: ' "$c_bold" "$step_no" "$step_total" "$c_off" "$step_name"
	elif [[ $step_name ]]; then
		printf '%s: ' "$step_name"
	fi
}

# A line that the next one replaces (on a terminal; elsewhere it stays).
progress() {
	if [[ $ui_tty ]]; then
		printf '\r\e[K%s%s' "$(step_prefix)" "$1" >&7
	else
		printf '%s%s\n' "$(step_prefix)" "$1" >&7
	fi
}

# A line that stays.
say() {
	[[ -z $ui_tty ]] || printf '\r\e[K' >&7
	printf '%s%s\n' "$(step_prefix)" "$1" >&7
}

# Closes the step: what came of it, and how long it took if one had to wait.
step_done() {
	local took=$((SECONDS - step_start)) suffix=
	((took < 2)) || suffix=" $c_dim($(duration "$took"))$c_off"
	((took == 0)) || ui_times+=("$step_name $(duration "$took")")
	say "$1$suffix"
}

# Where the time went since this was last asked, if it was worth a word.
say_times() {
	local total=$((SECONDS - ui_said)) list times=("${ui_times[@]}")
	ui_times=() ui_said=$SECONDS
	((total >= 10 && ${#times[@]} > 1)) || return 0
	list=$(printf ', %s' "${times[@]}")
	step_name= step_total=0 say "$(duration "$total"): ${list:2}"
}

# Whether a word was said of why a run ends: also die in a subshell writes here, and whoever ends reads it.
exec {ui_pipe}<<<""
read -r -u "$ui_pipe"
exec {ui_word}<>"/proc/self/fd/$ui_pipe" {ui_pipe}<&-

# die CAUSE [NEXT-STEP...]: one line for the cause, one for each thing to do.
die() {
	ui_stop_ticker
	echo >&"$ui_word"
	[[ -z $ui_tty ]] || printf '\r\e[K' >&7
	printf '%serror:%s %s\n' "$c_red" "$c_off" "$1" >&7
	shift
	local line
	for line in "$@"; do
		printf '       %s\n' "$line" >&7
	done
	exit 1
}

ui_stop_ticker() {
	[[ $ui_ticker ]] || return 0
	# Not by a signal that has a trap: where it has only just begun, it has those of this shell.
	kill -KILL "$ui_ticker" 2>/dev/null || true
	wait "$ui_ticker" 2>/dev/null || true
	ui_ticker=
}

# Repeats a progress line while the foreground command runs: every second on a
# terminal, every 30 seconds in a log. $2 may name a function that prints how far
# the work is.
ui_tick() {
	local what=$1 far=${2:-} start=$SECONDS parent=$$ extra
	local every=30 never
	trap - EXIT INT TERM
	[[ -z $ui_tty ]] || every=1
	progress "$what"
	# A read that nobody answers: unlike sleep(1) it leaves no process behind.
	exec {never}<> <(:)
	while ! read -rt "$every" -u "$never"; do
		kill -0 "$parent" 2>/dev/null || exit 0
		extra=
		[[ -z $far ]] || extra=$("$far" 2>/dev/null) || extra=
		progress "$what${extra:+ $extra}, $(duration $((SECONDS - start)))"
	done
}

# run_logged WHAT LOG HINT COMMAND...: runs COMMAND with its output in LOG and
# progress on screen; when it fails, shows the log's end and dies with HINT.
# The function in $progress_fn, if any, says how far the work is.
#
# COMMAND is in the foreground and the ticker in the background, not the other
# way round: a shell's background jobs ignore Ctrl-C. Neither gets our locks
# (descriptors 8 and 9), which something that outlives us would keep.
run_logged() {
	local what=$1 log=$2 hint=$3 status=0 why
	shift 3
	mkdir -p "$(dirname "$log")"
	printf '\n# %s\n' "$*" >>"$log"
	if [[ ${V:-} == 1 ]]; then
		say "$what"
		"$@" </dev/null 2>&1 8>&- 9>&- | tee -a "$log" >&7 || status=$?
	else
		ui_tick "$what" "${progress_fn:-}" 8>&- 9>&- &
		ui_ticker=$!
		"$@" </dev/null >>"$log" 2>&1 8>&- 9>&- || status=$?
		ui_stop_ticker
	fi
	((status == 0)) && return
	((status < 128)) || interrupted
	[[ -z $ui_tty ]] || printf '\r\e[K' >&7
	printf '%s--- the end of %s%s\n' "$c_dim" "$log" "$c_off" >&7
	tail -n "${LOG_LINES:-25}" "$log" | sed 's/^/    /' >&7
	why=$(ui_known_cause "$log")
	[[ ! $why ]] || die "$step_name: $what failed: ${why%%|*}" "log: $log" "${why#*|}"
	die "$step_name: $what failed (status $status)" "log: $log" "$hint"
}

# ui_known_cause LOG: what stops any program, as CAUSE|NEXT-STEP, if the last one that wrote there said so.
ui_known_cause() {
	local said
	said=$(tac "$1" | sed '/^# /q')
	case $said in
	*"No space left on device"*) echo "no space left on the disk|make room (df -h $cache $top says where), and run the same command again" ;;
	*"dpkg was interrupted"*) echo "dpkg was interrupted before|as root, run: dpkg --configure -a; then the same command again" ;;
	*"Could not resolve host"* | *"Temporary failure resolving"* | *"Network is unreachable"*)
		echo "there is no network|the same command again, when it is there"
		;;
	*"is not valid yet"* | *"is expired (invalid since"* | *"certificate is not yet valid"* | *"certificate has expired"*)
		echo "a signature or certificate is not of this time|is it $(date '+%F %R') here? if not, set the clock"
		;;
	# Of root in a container, say.
	*"detected dubious ownership"*) echo "git reads no clone of another user|git config --global --add safe.directory $top" ;;
	# Cargo, of paths, which only somebody's own programs have to this clone.
	*"failed to read "*"/Cargo.toml"*)
		echo "its Cargo.toml has a path that leads to no crate|paths to this clone have to lead to $top"
		;;
	*"Disk quota exceeded"*) echo "your disk quota is used up|make room, or put the cache elsewhere: XDG_CACHE_HOME=/path make …" ;;
	esac
}

interrupted() {
	ui_stop_ticker
	[[ -z $ui_tty ]] || printf '\r\e[K' >&7
	printf 'interrupted; the same command again goes on from here\n' >&7
	trap - EXIT
	exit 130
}

# The last command that failed and that nobody expected to: set -e ends the run there. What expects failures ends by
# exit.
ui_failed=
set -o errtrace
trap 'ui_failed="$BASH_COMMAND (${BASH_SOURCE[0]-}:$LINENO)"' ERR

# No run ends without a word, if only where it was.
ui_exit() {
	ui_stop_ticker
	[[ $1 = 0 || ! $ui_failed ]] || read -rt 0 -u "$ui_word" ||
		die "${step_name:+$step_name: }this failed: ${ui_failed%%$'\n'*}" \
			"what it said, if it did, is above; if that does not tell what to do, this is a mistake in scripts/: report it"
}

trap 'ui_exit $?' EXIT
trap interrupted INT TERM
