# SPDX-License-Identifier: GPL-2.0
#
# make            the module, for the running kernel or for KDIR, and the tool
# make btf        the module's types into it, for bpftool and bpftrace; before make install
# sudo make install
# make demo       see it at work in a virtual machine; changes nothing here
# make check      all tests, in that machine
# make help       the rest

VERSION := 0.1
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
KDIR ?= /lib/modules/$(shell uname -r)/build
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

install:
	@test -e kmod/tcp_keepalive.ko -a -e ctl/kactl || { \
		echo "make install: nothing is built yet: make" >&2; exit 1; }
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" INSTALL_MOD_PATH="$(DESTDIR)" \
		INSTALL_MOD_DIR=updates $(UNSIGNED) modules_install
	test -n "$(DESTDIR)" || depmod "$$($(MAKE) -s -C "$(KDIR)" kernelrelease)"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/include/linux" \
		kmod/uapi/linux/tcp_keepalive.h
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/tcp-keepalive" \
		kmod/tcp_keepalive.yaml
	$(MAKE) -C ctl VERSION=$(VERSION) PREFIX="$(PREFIX)" SYSCONFDIR="$(SYSCONFDIR)" install

clean:
	rm -rf build
	find kmod \( -name '*.o' -o -name '*.ko' -o -name '*.mod*' -o -name '.*.cmd' \) -delete
	rm -f Module.symvers modules.order .Module.symvers.cmd .modules.order.cmd
	$(MAKE) -C ctl clean

demo:
	selftests/demo/run

check:
	selftests/check

bench:
	selftests/bench/run

lint:
	selftests/lint

vm:
	selftests/vm/vm host
	selftests/vm/vm root
	selftests/vm/vm exec -- selftests/build
	selftests/vm/vm shell

help:
	@sed -n 's/^# \(make\|sudo\)/  \1/p' Makefile

.PHONY: all modules btf ctl install clean demo check bench lint vm help
