# shellcheck shell=bash disable=SC2154
# `vm boot` and `vm shell`. Read by ./vm, whose variables and functions are used.
#
# The root and the project are handed over as persistent memory (virtio-pmem), not as disks: reading them never leaves
# an idle CPU behind, so the jumping clock does not jump while something is read.

# What the kernel says when something is wrong with it.
complaints='BUG:|WARNING:|Oops|general protection|stack-protector|KASAN|KFENCE|UBSAN|KCSAN|DEBUG_LOCKS_WARN|refcount_t:'
complaints+='|INFO: task .* blocked|INFO: trying to register|rcu: INFO|rcu.*(stall|starved)|suspicious RCU usage'
complaints+='|possible (circular|recursive|irq)|inconsistent lock state|soft lockup|hard LOCKUP|[Kk]ernel panic'
complaints+='|list_(add|del) corruption|ODEBUG:|unreferenced object|suspected memory leaks|Call Trace'
complaints+='|sleeping function called|scheduling while atomic|unregister_netdevice: waiting|nobody cared|double fault'

vm_boot() {
	read_options "$@"
	[ ${#command_words[@]} -gt 0 ] || die "boot: no command"
	timeout=${timeout:-900}
	prepare
	local pid result=0
	timeout -k 5 "$timeout" "${qemu[@]}" -chardev "file,id=output,path=$tmp/output" \
		-device 'virtserialport,chardev=output,nr=1' </dev/null >"$tmp/qemu" 2>&1 &
	pid=$!
	running=$pid
	# In the background too: a signal is looked at during `wait`, not while a program runs.
	tail -n +1 -f -s 0.1 --pid="$pid" "$tmp/output" &
	wait $! || true
	{ wait "$pid" || result=$?; } 2>/dev/null
	running=
	collect
	verdict "$result"
}

vm_shell() {
	read_options "$@"
	[ ${#command_words[@]} -eq 0 ] || die "shell: takes no command"
	[ -t 0 ] || die "shell: not a terminal"
	prepare
	terminal=$(stty -g)
	step "booting (some 10 s)"
	"${qemu[@]}" -chardev stdio,id=output,signal=off -device virtconsole,chardev=output,nr=0 || true
	collect
	if complained; then show_complaint; fi
}

read_options() {
	clock=real cpus='' cpu=max mem=2048 timeout='' out='' kernel='' nic=none disk='' append='' command_words=()
	while [ $# -gt 0 ]; do
		case $1 in
		--clock | --cpus | --cpu | --mem | --timeout | --out | --kernel | --nic | --disk | --append)
			[ $# -ge 2 ] || die "$1: what?"
			printf -v "${1#--}" %s "$2"
			shift 2
			;;
		--)
			shift
			command_words=("$@")
			break
			;;
		*) die "not an option: '$1'" ;;
		esac
	done
	case $clock in
	real) cpus=${cpus:-2} ;;
	jump) cpus=1 ;;
	*) die "--clock: not '$clock' but real or jump" ;;
	esac
}

# Makes everything that goes into the machine, in $tmp, and its command line, in $qemu.
prepare() {
	local modules image device
	vm_host
	vm_root
	use_kvm && accel=kvm || accel=tcg
	tmp=$(mktemp -d)
	running='' terminal=''
	trap clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	touch "$tmp/output" "$tmp/status" "$tmp/out.tar" "$tmp/log"

	if [ -n "${KA_KERNEL:-}" ]; then
		vm_kernel "$KA_KERNEL"
		kernel=$own_kernel
	fi
	if [ -n "$kernel" ]; then
		image=$kernel/vmlinuz
		modules=$(echo "$kernel"/lib/modules/*)
	else
		modules=$(echo "$root"/tree/lib/modules/*)
		image=$root/tree/boot/vmlinux
	fi
	[ -f "$image" ] || die "no kernel: $image"
	make_initramfs "$modules"
	pack_project
	devices=("$root/root.sqfs" "$tmp/project")
	if [ -n "$kernel" ] && [ -d "$modules" ]; then
		tar -C "$kernel/lib" -cf "$tmp/modules" modules
		truncate -s %2M "$tmp/modules"
		devices+=("$tmp/modules")
	fi

	emulator=(qemu-system-x86_64)
	if [ "$clock,$accel" = real,tcg ]; then vm_emulator; fi
	qemu=("${emulator[@]}" -M q35 -nodefaults -no-user-config -display none -no-reboot -nic "$nic"
		-smp "$cpus" -m "$mem,slots=4,maxmem=$((mem + 16384))M" -kernel "$image" -initrd "$tmp/initramfs"
		-chardev "file,id=log,path=$tmp/log" -serial chardev:log
		-device 'virtio-serial-pci,ioeventfd=off'
		-chardev "file,id=status,path=$tmp/status" -device 'virtserialport,chardev=status,nr=2'
		-chardev "file,id=out,path=$tmp/out.tar" -device 'virtserialport,chardev=out,nr=3'
		-append "$(kernel_arguments)")
	case $clock,$accel in
	jump,*) qemu+=(-accel 'tcg,thread=single' -icount 'shift=0,sleep=off' -rtc clock=vm -cpu "$cpu") ;;
	real,kvm) qemu+=(-accel kvm -cpu host) ;;
	# A thread for each CPU, so that they race.
	real,tcg) qemu+=(-accel 'tcg,thread=multi' -cpu "$cpu") ;;
	esac
	if [ -n "$disk" ]; then
		[ -e "$disk" ] || { truncate -s 4G "$disk" && PATH=$PATH:$sane_path mkfs.ext4 -q "$disk"; }
		qemu+=(-drive "file=$disk,format=raw,if=virtio,cache=unsafe")
	fi
	for device in "${!devices[@]}"; do
		# Private: what the machine writes there stays in its memory.
		qemu+=(-object "memory-backend-file,id=pmem$device,mem-path=${devices[device]},share=off,size=$(stat -c %s "${devices[device]}")"
			-device "virtio-pmem-pci,memdev=pmem$device")
	done
}

kernel_arguments() {
	# An oops panics, a panic reboots at once, and -no-reboot makes that the machine's end.
	local arguments='console=ttyS0 printk.devkmsg=on oops=panic panic=-1 net.ifnames=0 tsc=reliable'
	# Emulated without icount, the TSC is this machine's. Where this machine is busy, a kernel that measures it was seen to be
	# wrong 30 times over, and one that tests its timer to panic. Linux's bogomips are twice the TSC's megahertz.
	if [ "$clock,$accel" = real,tcg ]; then
		arguments+=" no_timer_check tsc_early_khz=$(awk '/^bogomips/ { printf "%d", $3 * 500; exit }' /proc/cpuinfo)"
	fi
	# QEMU 7.2 translates code anew for each address that it is seen at: a library for each process. That was half the time.
	if [ "$clock" = jump ]; then arguments+=' norandmaps'; fi
	if [ -n "${KA_KERNEL:-}" ]; then arguments+=' kasan_multi_shot'; fi
	echo "$arguments $append"
}

# make_initramfs MODULES: busybox, the modules that find the root, init, guest and the command.
make_initramfs() {
	local into=$tmp/initramfs.d file n=100
	mkdir -p "$into"/{bin,modules,vm}
	cp "$root/tree/bin/busybox" "$into/bin"
	cp "$here/init" "$into"
	cp "$here/guest" "$into/vm"
	while read -r file; do
		n=$((n + 1))
		case $file in
		*.xz) xz -dc "$1/$file" >"$into/modules/$n-$(basename "$file" .xz)" ;;
		*) cp "$1/$file" "$into/modules/$n-$(basename "$file")" ;;
		esac
	done < <(load_order "$1")
	write_settings >"$into/vm/settings"
	if [ ${#command_words[@]} -gt 0 ]; then printf '%q ' exec "${command_words[@]}" >"$into/vm/command"; fi
	(cd "$into" && find . | bin/busybox cpio -o -H newc) >"$tmp/initramfs" 2>/dev/null
}

# What the guest's shells read first.
write_settings() {
	local name
	while read -r name; do
		printf 'export %s=%q\n' "$name" "${!name}"
	done < <(kept_variables)
	printf 'export PATH=%q HOME=/root LANG=C.UTF-8\n' "$sane_path"
	printf 'clock=%q directory=%q\n' "$clock" "$(cwd /project)"
	if [ -t 0 ]; then printf 'size=%q\n' "$(stty size)"; fi
}

# load_order MODULES: the files of the modules that the initramfs needs, each after those it depends on.
load_order() {
	[ -f "$1/modules.dep" ] || return 0
	awk -v wanted="virtio_pci virtio_pmem nd_pmem virtio_console squashfs overlay ${disk:+virtio_blk crc32c_generic ext4}" '
		function base(path) { sub(/.*\//, "", path); sub(/\.ko.*/, "", path); gsub(/-/, "_", path); return path }
		{ sub(/:/, "", $1); line[base($1)] = $0 }
		END {
			n = split(wanted, name, " ")
			for (i = 1; i <= n; i++)
				for (j = split(line[name[i]], file, " "); j > 0; j--)
					if (!seen[file[j]]++) print file[j]
		}' "$1/modules.dep"
}

# Of all these kernels lz4 is known, and nothing is compressed. That a file changes meanwhile is no error.
pack_project() {
	mksquashfs "$project" "$tmp/project" -no-progress -all-root -comp lz4 -noI -noD -noF -noX -e .git >"$tmp/mksquashfs" ||
		die "packing the project: $(tail -n 3 "$tmp/mksquashfs")"
	truncate -s %2M "$tmp/project"
}

# /dev/kvm may be there and not work: only a machine that ran says so. Tried once a boot of this machine.
use_kvm() {
	local trial
	[ "$clock" = real ] || return 1
	case ${KA_KVM:-} in
	0) return 1 ;;
	1) return 0 ;;
	esac
	[ -w /dev/kvm ] || return 1
	trial=$cache/kvm-$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -s "$trial" ]; then
		step "trying whether KVM works here (once, at most 30 s)"
		rm -f "$cache"/kvm-*
		if KA_KVM=1 "$here/vm" boot --timeout 30 -- true >/dev/null 2>&1; then echo yes; else echo no; fi >"$trial"
	fi
	[ "$(cat "$trial")" = yes ]
}

# What CMD left in /out, and the kernel's log.
collect() {
	[ -n "$out" ] || return 0
	mkdir -p "$out"
	cp "$tmp/log" "$out/kernel.log"
	if [ -s "$tmp/out.tar" ]; then tar -x -m -C "$out" --no-same-owner -f "$tmp/out.tar"; fi
}

# verdict RESULT-OF-QEMU: exits.
verdict() {
	local status
	status=$(cat "$tmp/status")
	if [ "$1" = 124 ] || [ "$1" = 137 ]; then
		show "last of the output" tail -n 60 "$tmp/output"
		show "last of the kernel's log" tail -n 60 "$tmp/log"
		step "given up after $timeout s"
		exit 124
	elif complained; then
		show_complaint
		exit 125
	elif ! [[ $status =~ ^[0-9]+$ ]]; then
		show "last of the kernel's log" tail -n 60 "$tmp/log"
		cat "$tmp/qemu" >&2
		die "the machine died without a status"
	fi
	exit "$status"
}

# A kernel that checks itself finds faults of its own too: all are listed, and those with the module in them count.
complained() {
	if [ -z "${KA_KERNEL:-}" ]; then
		grep -qE "$complaints" "$tmp/log"
	else
		! "$here/reports" -v titles="$complaints" "$tmp/log" >&2
	fi
}

show() {
	local title=$1
	shift
	{
		echo "---- $title ----"
		"$@"
		echo "----"
	} >&2
}

show_complaint() {
	if [ -n "${KA_KERNEL:-}" ]; then
		show "the first that is ours" grep -m 1 -E -B 40 -A 60 '\[tcp_keepalive\]|kmod/' "$tmp/log"
		step "failed: the kernel complained of the module"
		return
	fi
	show "the kernel complained" grep -m 1 -E -B 3 -A 50 "$complaints" "$tmp/log"
	step "failed: the kernel complained $(grep -cE "$complaints" "$tmp/log") times in this run"
}

clean() {
	if [ -n "$running" ]; then kill "$running" 2>/dev/null || true; fi
	if [ -n "$terminal" ]; then stty "$terminal" || true; fi
	rm -rf "$tmp"
}
