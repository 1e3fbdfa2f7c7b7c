# shellcheck shell=bash
# Read by what installs Debian's packages into a folder.

# This machine's own mirrors, as "MAIN [SECURITY]": whatever apt is set up to use.
host_mirrors() {
	local codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # apt expands these
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 'Component: main' |
		awk -v own="$codename" '
			$1 == own && !main { main = $2 }
			$1 == own "-security" && !security { security = $2 }
			END { print main, security }'
}

# Sets $main and $security to the mirrors, as URIs; the second may be empty.
read_mirrors() {
	# shellcheck disable=SC2034 # for the caller
	read -r main security <<<"${MIRROR:-$(host_mirrors)}"
	[ -n "$main" ] || { echo "apt has no Debian mirror on this machine: set MIRROR='URI [SECURITY-URI]'" >&2 && return 1; }
}
