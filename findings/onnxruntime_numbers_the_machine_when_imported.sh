#!/usr/bin/env bash
# ONNX Runtime 1.31.1 on Linux: `import onnxruntime` gives the machine a number and begins to collect; its switch comes too late.
#
# Since 1.29 the packages for Linux have a telemetry client (github.com/microsoft/onnxruntime/pull/27379). The import alone,
# before any model is loaded, writes a random device number and a database of events to ~/.cache/Microsoft, and starts a
# thread, which by that pull request sends them (not observed here); the number stays the same from run to run. Expected of a library for computing on one's own
# machine: nothing is kept or sent unless it is asked for, and the function `disable_telemetry_events()` prevents it. Seen:
# the function can be called after the import only, when number and database are there, and does not take them away. The
# variable ORT_DISABLE_TELEMETRY=1, set before the import, does prevent it.
#
# Why it matters here: a command that decides about private pictures, and says that nothing leaves the machine, has to set
# the variable before the first import. A process that is forked after the import inherits an open database, too.
#
# The script points HTTPS at a closed port, so that running it sends nothing.
# Exit status: 0 while this holds, 1 once it does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet numpy==2.4.6 onnxruntime==1.31.1
export https_proxy=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9
unset ORT_DISABLE_TELEMETRY XDG_CACHE_HOME

after() { # what lies in a new home folder after a line of Python
    mkdir -p "$work/$1"
    HOME="$work/$1" "$work/env/bin/python" -c "$2"
    (cd "$work/$1" && find . -type f | sort)
}

imported=$(after home "import onnxruntime")
number=$(cat "$work/home/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid" 2>/dev/null || true)
after home "import onnxruntime" >/dev/null
again=$(cat "$work/home/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid" 2>/dev/null || true)
switched_off=$(after other "import onnxruntime; onnxruntime.disable_telemetry_events()")
export ORT_DISABLE_TELEMETRY=1
told_before=$(after third "import onnxruntime")

printf 'after the import:\n%s\n' "$imported"
printf 'the number is the same in the next run: %s\n' "$([ -n "$number" ] && [ "$number" = "$again" ] && echo yes || echo no)"
printf 'after disable_telemetry_events():\n%s\n' "$switched_off"
printf 'with ORT_DISABLE_TELEMETRY=1 before the import:\n%s\n' "${told_before:-nothing}"
grep -q deviceid <<<"$imported" && [ "$number" = "$again" ] && grep -q deviceid <<<"$switched_off" && [ -z "$told_before" ]
