# SPDX-License-Identifier: GPL-2.0
#
# make            the module, for the running kernel or for KDIR, and the tool
# make btf        the module's types into it, for bpftool and bpftrace; before make install
# sudo make install, sudo make uninstall
# make deb        Debian packages of both in build/; make rpm; make dist: the sources
# make demo       see it at work in a virtual machine; loads nothing here
# make demo-nat   likewise: programs that never asked for keepalive, behind a NAT that forgets them
# make check      all tests, in that machine
# make check-all  all tests on each kernel that is supported, their core on two of its flavours
# make check-deb  the packages: installed, upgraded, with other kernels, removed
# make check-fleet   dist/fleet: three machines, Ansible, Prometheus, and what Kubernetes would run
# make check-debug   the tests on kernels that check themselves: KASAN, lockdep, kmemleak and more; KCSAN
# make harm       the kernel's own TCP selftests, with nothing loaded and with the module: the same results?
# make coverage   which lines of the module the tests run
# make fuzz       the tool against a hostile kernel, odd words and odd servers, for 10 minutes each
# make fuzz-family   the module against random messages, a million of them
# make help       the rest

VERSION := 0.1
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
DKMSDIR ?= /usr/src/tcp-keepalive-$(VERSION)
KDIR ?= /lib/modules/$(shell uname -r)/build
# Debian's headers do not know by "make kernelrelease" what they are for.
KREL = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' "$(KDIR)/include/generated/utsrelease.h")
# Headers alone bring no key to sign with.
UNSIGNED = $(if $(wildcard $(KDIR)/certs/signing_key.pem),,CONFIG_MODULE_SIG_ALL=)
# The kernel build makes BTF where the headers bring a vmlinux (Debian's do since 6.12); elsewhere make btf has the
# running kernel's instead.
NO_BTF = $(if $(and $(wildcard $(KDIR)/vmlinux),$(shell command -v pahole)),,CONFIG_DEBUG_INFO_BTF_MODULES=)
OBJCOPY ?= objcopy
KO ?= kmod/tcp_keepalive.ko
BTF_BASE ?= /sys/kernel/btf/vmlinux

export KA_VERSION := $(VERSION)

all: modules ctl

modules:
	@test -e "$(KDIR)/Makefile" || { \
		echo "make modules: no kernel headers in KDIR=$(KDIR)" >&2; \
		echo "  install them (Debian: apt install linux-headers-$$(uname -r)), or say KDIR=…" >&2; \
		echo "  or see it all in a virtual machine, with nothing installed into this kernel: make demo" >&2; \
		exit 1; }
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" $(NO_BTF) modules

btf:
	@fail() { echo "make btf: $$*" >&2; exit 1; }; \
	test -e "$(KO)" || fail "no $(KO): make modules"; \
	type pahole >/dev/null 2>&1 || fail "no pahole (Debian: apt install dwarves)"; \
	test -r "$(BTF_BASE)" || \
		fail "no $(BTF_BASE): a kernel without CONFIG_DEBUG_INFO_BTF"; \
	case "$(BTF_BASE)" in /sys/*) \
		grep -aq "vermagic=$$(uname -r) " "$(KO)" || \
			fail "$(KO) is for another kernel than $$(uname -r), which runs";; \
	esac
	$(OBJCOPY) -R .BTF -R .BTF.base "$(KO)"
	LLVM_OBJCOPY="$(OBJCOPY)" pahole -J --btf_base "$(BTF_BASE)" "$(KO)"

ctl:
	$(MAKE) -C ctl VERSION=$(VERSION)

install: install-module install-protocol
	$(MAKE) -C ctl VERSION=$(VERSION) PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" install

install-module:
	@test -e kmod/tcp_keepalive.ko -a -e ctl/kactl || { \
		echo "make install: nothing is built yet: make" >&2; exit 1; }
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" INSTALL_MOD_PATH="$(DESTDIR)" \
		INSTALL_MOD_DIR=updates $(UNSIGNED) modules_install
	test -n "$(DESTDIR)" || depmod "$(KREL)"

# What the netlink protocol is, for programs.
install-protocol:
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/include/linux" \
		kmod/uapi/linux/tcp_keepalive.h
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/tcp-keepalive" \
		kmod/tcp_keepalive.yaml

# The module's source to where DKMS looks for it; then dkms install tcp-keepalive/VERSION -k KERNEL.
install-dkms:
	install -D -m 644 -t "$(DESTDIR)$(DKMSDIR)" Makefile Kbuild dkms.conf COPYING
	find kmod -type f ! -name '*.o' ! -name '*.ko' ! -name '*.mod*' ! -name '.*' \
		-exec install -D -m 644 {} "$(DESTDIR)$(DKMSDIR)/{}" \;

# All but the configuration.
uninstall:
	rm -f "$(DESTDIR)/lib/modules/$(KREL)/updates/kmod"/tcp_keepalive.ko*
	test -n "$(DESTDIR)" || depmod "$(KREL)"
	rm -f "$(DESTDIR)$(PREFIX)/include/linux/tcp_keepalive.h"
	rm -rf "$(DESTDIR)$(PREFIX)/share/tcp-keepalive"
	$(MAKE) -C ctl PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" uninstall

deb:
	dist/deb

rpm:
	dist/rpm

dist:
	dist/tar

clean:
	rm -rf build
	find kmod \( -name '*.o' -o -name '*.ko' -o -name '*.mod*' -o -name '.*.cmd' \) -delete
	rm -f Module.symvers modules.order .Module.symvers.cmd .modules.order.cmd
	! test -d ctl || $(MAKE) -C ctl clean

demo:
	selftests/demo/run

demo-nat:
	selftests/demo/run nat

# make demo-picture    the picture in README.md, of what make demo says
demo-picture:
	mkdir -p build
	selftests/demo/run >build/demo.txt
	selftests/demo/picture <build/demo.txt >build/demo.svg
	mv build/demo.svg selftests/demo/demo.svg

check:
	selftests/check

check-all:
	selftests/check-all

check-deb:
	selftests/deb/check

check-fleet:
	selftests/fleet/check

check-debug:
	selftests/check-debug

coverage:
	selftests/check-coverage

fuzz:
	selftests/fuzz/run

# make storm      500 loads, 5,000 namespaces, 100,000 changes of rules, under traffic
storm:
	KA_STORM=100 KA_SLOW=6 TESTS=storm.py selftests/check

fuzz-family:
	selftests/fuzz/messages

# make check-sanitize   the tool's tests, and the fuzzers' corpus, under valgrind and with gcc's sanitizers
check-sanitize:
	selftests/check-sanitize

harm:
	selftests/harm/run

# make analyse    what compilers' analysers and the kernel's own checks find
analyse:
	selftests/analyse/run

# make bench      what it costs, in instructions
bench:
	selftests/bench/run

# make bench-million   the same with a million sockets, and whether all is counted then; half an hour or more
bench-million:
	selftests/bench/million

# make bench-churn     what users of it do to connections that come and go, and how long it holds its locks
bench-churn:
	selftests/bench/churn

lint:
	selftests/lint

vm:
	selftests/vm/vm host
	selftests/vm/vm root
	selftests/vm/vm exec -- selftests/build
	selftests/vm/vm shell

help:
	@sed -n 's/^# \(make\|sudo\)/  \1/p' Makefile

.PHONY: all modules btf ctl install install-module install-protocol install-dkms uninstall deb rpm dist clean demo demo-nat demo-picture \
	check check-all check-deb check-fleet check-debug check-sanitize coverage fuzz fuzz-family storm harm analyse bench bench-million bench-churn lint vm help
