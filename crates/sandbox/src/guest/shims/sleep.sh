#!/bin/sh
# sleep in simulated time: the sum of the arguments times @SCALE@.
for word in "$@"; do
    case $word in
    -* | "") exec /bin/sleep "$@" ;;
    esac
done
seconds=$(printf '%s\n' "$@" | awk -v scale=@SCALE@ '
    { unit = substr($0, length($0)); n = 1
      if (unit == "m") n = 60; else if (unit == "h") n = 3600; else if (unit == "d") n = 86400
      sum += $0 * n }
    END { printf "%.6f", sum * scale }') || exec /bin/sleep "$@"
exec /bin/sleep "$seconds"
