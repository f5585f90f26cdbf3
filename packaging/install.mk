# SPDX-License-Identifier: GPL-2.0-or-later
# make install, uninstall: where files go follows PREFIX, SYSCONFDIR, UNITDIR and DESTDIR.

BINDIR := $(PREFIX)/bin
SBINDIR := $(PREFIX)/sbin
MANDIR := $(PREFIX)/share/man
DOCDIR := $(PREFIX)/share/doc/pinfold
BASHDIR := $(PREFIX)/share/bash-completion/completions
SYSUSERSDIR := $(PREFIX)/lib/sysusers.d

install: all ## install binaries, unit, man pages and an example configuration
	install -D -m 755 $(B)/pinfoldd $(DESTDIR)$(SBINDIR)/pinfoldd
	install -D -m 755 $(B)/pinfold $(DESTDIR)$(BINDIR)/pinfold
	install -D -m 644 packaging/systemd/pinfoldd.service.in $(DESTDIR)$(UNITDIR)/pinfoldd.service
	sed -i 's|@SBINDIR@|$(SBINDIR)|g' $(DESTDIR)$(UNITDIR)/pinfoldd.service
	install -D -m 644 packaging/pinfold.sysusers $(DESTDIR)$(SYSUSERSDIR)/pinfold.conf
	install -D -m 644 packaging/pinfold.conf $(DESTDIR)$(DOCDIR)/pinfold.conf
	install -d -m 755 $(DESTDIR)$(SYSCONFDIR)/pinfold/pinfold.conf.d
	install -D -m 644 docs/man/pinfold.1 $(DESTDIR)$(MANDIR)/man1/pinfold.1
	install -D -m 644 docs/man/pinfold.conf.5 $(DESTDIR)$(MANDIR)/man5/pinfold.conf.5
	install -D -m 644 docs/man/pinfoldd.8 $(DESTDIR)$(MANDIR)/man8/pinfoldd.8
	install -D -m 644 packaging/completions/pinfold $(DESTDIR)$(BASHDIR)/pinfold

uninstall: ## end the eBPF programs and remove what install put there; configuration and records stay
	-[ -n "$(DESTDIR)" ] || [ ! -x $(SBINDIR)/pinfoldd ] || $(SBINDIR)/pinfoldd --unpin
	rm -f $(DESTDIR)$(SBINDIR)/pinfoldd $(DESTDIR)$(BINDIR)/pinfold \
		$(DESTDIR)$(UNITDIR)/pinfoldd.service $(DESTDIR)$(SYSUSERSDIR)/pinfold.conf \
		$(DESTDIR)$(DOCDIR)/pinfold.conf $(DESTDIR)$(MANDIR)/man1/pinfold.1 \
		$(DESTDIR)$(MANDIR)/man5/pinfold.conf.5 $(DESTDIR)$(MANDIR)/man8/pinfoldd.8 \
		$(DESTDIR)$(BASHDIR)/pinfold
	-rmdir $(DESTDIR)$(DOCDIR)

.PHONY: deb
deb: all ## build the Debian package into .build/
	rm -rf $(B)/deb
	$(MAKE) -s -o all install DESTDIR=$(B)/deb PREFIX=/usr SYSCONFDIR=/etc UNITDIR=/lib/systemd/system
	@packaging/deb/build $(VERSION) $(B)/deb $(B)/pinfold_$(VERSION)_$(shell dpkg --print-architecture).deb
