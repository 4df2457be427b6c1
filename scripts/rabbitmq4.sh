#!/usr/bin/env bash
# Puts RabbitMQ 4 with its own Erlang and C library into a folder, from Debian's archive, and leaves this system alone.
#
#   scripts/rabbitmq4.sh DIR [trixie|sid]     trixie: RabbitMQ 4.0; sid: the newest that Debian has
#   NSB_TEST_RABBITMQ=DIR npm test            the tests start their brokers from it
#
# Needs Linux, root and Debian's apt; takes about a minute and 600 MB. A folder that is complete is left as it is.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
dir=$1 suite=${2:-trixie}
mkdir -p "$(dirname "$dir")"
# Another run may be making the same folder.
exec 9>"$dir.lock"
flock 9
if [ ! -e "$dir" ]; then
  command -v debootstrap >/dev/null || { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null; }
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u | head -n 1)
  fresh=$(mktemp -d "$dir.XXXXXX")
  trap 'rm -rf --one-file-system "$fresh"' EXIT
  debootstrap --variant=minbase --include=rabbitmq-server "$suite" "$fresh" "$mirror" >"$dir.log" 2>&1 || { tail -n 5 "$dir.log" >&2; exit 1; }
  # Without it a node waits for the names of its name server for ever.
  grep -q localhost "$fresh/etc/hosts" 2>/dev/null || echo "127.0.0.1 localhost $(hostname)" >>"$fresh/etc/hosts"
  rm -rf "$fresh"/var/cache/apt/archives/*.deb
  chmod 755 "$fresh"
  mv "$fresh" "$dir"
  trap - EXIT
fi
chroot "$dir" dpkg-query -W -f '${Package} ${Version}\n' rabbitmq-server erlang-base
