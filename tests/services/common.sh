# What the service scripts share; read by them with `.`, never run.
#
#   SCRIPT start FILE     start one in the background and wait until it answers; prints how to reach it;
#                         FILE remembers it. It ends with the process that called, or with stop.
#   SCRIPT kill FILE      SIGKILL it; what it wrote stays, and start FILE goes on with it, at the same port
#   SCRIPT stop FILE      stop it and remove all it wrote
#   SCRIPT run            start one to play with, say how, stop it at Ctrl-C
#
# Downloads happen once, into $AQSTORE_SERVICES (~/.cache/aqstore-services). AQSTORE_SERVICE_OWNER: id of the process to
# end with, instead of the caller. Exit codes: 0 done, 1 failed, 2 wrong usage, 77 something is not installed.
set -eu

services=$(cd "$(dirname "$0")" && pwd)
service=$(basename "$0")
cache=${AQSTORE_SERVICES:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/aqstore-services}
owner=${AQSTORE_SERVICE_OWNER:-$PPID}
ready_seconds=60
stop_signal=KILL

fail() {
	echo "$service: $1" >&2
	exit "${2:-1}"
}

# need COMMAND PACKAGE
need() {
	command -v "$1" >/dev/null || fail "$1 is not installed (Debian: $2; ./bootstrap deps installs it)" 77
}

usage() {
	echo "usage: tests/services/$service start|kill|stop FILE, or run" >&2
	exit 2
}

# The folder of the server that FILE remembers; nothing else is ever removed or killed.
remembered() {
	home=$(cat "$1") || exit 1
	case $home in
	"/tmp/aqstore-$service".??????) ;;
	*) fail "$1 does not name a server" ;;
	esac
}

# once NAME COMMAND...: run COMMAND in a new folder that becomes $cache/NAME, unless that is there.
# Two that want it at once wait for each other; a download that broke off leaves nothing behind.
once() {
	kept=$cache/$1
	shift
	[ ! -d "$kept" ] || return 0
	mkdir -p "$cache"
	(
		flock 9
		[ ! -d "$kept" ] || exit 0
		rm -rf "$kept.part"
		mkdir "$kept.part"
		echo "$service: downloading, once, to $kept" >&2
		cd "$kept.part"
		"$@" >&2 </dev/null || fail "the download failed; see above"
		mv "$kept.part" "$kept"
	) 9>"$kept.lock"
}

# jars POM: the jars that a Maven project needs to run, into lib/.
jars() {
	printf '%s\n' "$1" >pom.xml
	mvn -q -B -C -Dstyle.color=never org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
		-DoutputDirectory=lib -DincludeScope=runtime
}

# Ports that nobody listens on, outside the range that outgoing connections take theirs from.
free_ports() {
	python3 "$services/ports.py" free "$1"
}

# Whether process $1 is there; one that has ended and nobody has waited for is not.
alive='case $(ps -o stat= -p "$1") in "" | Z*) false ;; esac'

is_running() {
	[ -s "$home/pid" ] && sh -c "$alive" alive "$(cat "$home/pid")"
}

# answers PORT: whether it accepts connections.
answers() {
	python3 "$services/ports.py" answers "$1"
}

# launch COMMAND...: in the background, in a session of its own, with its output in $home/log and its id in $home/pid.
# It dies when its owner does, however that ends.
launch() {
	setsid "$@" >>"$home/log" 2>&1 </dev/null &
	echo $! >"$home/pid"
	setsid sh -c "alive() { $alive; }"'
		while alive "$1" && alive "$2"; do sleep 0.5; done
		if alive "$2"; then kill "-$4" -"$2"; while alive "$2"; do sleep 0.1; done; rm -rf "$3"; fi' \
		watch "$owner" "$(cat "$home/pid")" "$home" "$stop_signal" >/dev/null 2>&1 </dev/null &
}

# await COMMAND...: until COMMAND succeeds; the service's log is shown if that never is.
await() {
	tries=$((ready_seconds * 20))
	while is_running && [ $((tries -= 1)) -gt 0 ]; do
		! "$@" || return 0
		sleep 0.05
	done
	tail -n 30 "$home/log" >&2
	end_process
	fail "it did not start; the log's end is above"
}

# Ends the server's session and waits until it is gone.
end_process() {
	[ -s "$home/pid" ] || return 0
	kill "-${1:-KILL}" -"$(cat "$home/pid")" 2>/dev/null || true
	while is_running; do sleep 0.02; done
	rm -f "$home/pid"
}

remove() {
	end_process $stop_signal
	rm -rf "$home"
}

# main ARGUMENT...: the script defines `prepare` (once: configuration in $home), `begin` (launch and await), `address`
# (print how to reach it) and `hint` (what to try).
main() {
	case "$#:${1:-}" in
	2:start)
		[ ! -s "$2" ] || remembered "$2"
		if [ ! -d "${home:-}" ]; then # none yet, or it ended with its owner
			home=$(mktemp -d "/tmp/aqstore-$service.XXXXXX")
			trap 'rm -rf "$home"' EXIT
			prepare
			trap - EXIT
			echo "$home" >"$2"
		fi
		is_running || begin
		address
		;;
	2:kill)
		remembered "$2"
		end_process
		;;
	2:stop)
		remembered "$2"
		remove
		rm -f "$2"
		;;
	1:run)
		home=$(mktemp -d "/tmp/aqstore-$service.XXXXXX")
		owner=$$
		trap 'remove' EXIT
		trap 'exit 0' INT TERM HUP
		prepare
		begin
		hint
		while is_running; do sleep 0.5; done
		tail -n 30 "$home/log" >&2
		fail "the server ended by itself; its log's end is above"
		;;
	*) usage ;;
	esac
}
