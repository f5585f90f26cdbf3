# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that the lab opens all the time, as a file system of their own.

The machine's root comes into the lab by 9p, where each open() costs three questions to QEMU: 75
files make that a second for a command with many libraries. What the packages that the lab
needs have installed is therefore put into an image, which lies above the 9p root.
"""
import fcntl
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile

STATUS = "/var/lib/dpkg/status"
INFO = "/var/lib/dpkg/info"
# What packages have at run time only: made by their scripts, not in their lists.
MADE = ("/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime",
	"/bin", "/sbin", "/lib", "/lib64")
NOT_RUN = re.compile(r"/usr/share/(doc|man|info|locale|lintian|bug)/|/usr/include/|/boot/|/var/|"
		     r"(/usr)?/lib/modules/")


def installed():
	"""name -> fields of each installed package, and virtual name -> who provides it."""
	packages, provides = {}, {}
	for part in open(STATUS).read().split("\n\n"):
		fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", part, re.M))
		if "installed" not in fields.get("Status", "").split():
			continue
		packages[fields["Package"]] = fields
		for name in re.findall(r"[^ ,(]+(?=[ ,(]|$)", fields.get("Provides", "")):
			provides.setdefault(name, fields["Package"])
	return packages, provides


def closure(roots):
	"""ROOTS, what every Debian has, and all that these depend on, as far as it's installed."""
	packages, provides = installed()
	todo = list(roots) + [name for name, fields in packages.items()
			      if fields.get("Priority") in ("required", "important")]
	found = set()
	while todo:
		name = todo.pop()
		name = name if name in packages else provides.get(name)
		if not name or name in found:
			continue
		found.add(name)
		wants = packages[name].get("Depends", ""), packages[name].get("Pre-Depends", "")
		todo += [re.sub(r"[ (:\[].*", "", one.strip()) for one in re.split("[,|]", ",".join(wants))]
	return found


def listed(package):
	for name in (package, package + ":amd64"):
		path = os.path.join(INFO, name + ".list")
		if os.path.exists(path):
			yield from open(path).read().splitlines()


def made():
	yield from MADE
	for folder in ("/usr/bin", "/usr/sbin", "/etc/alternatives"):
		for entry in os.scandir(folder):
			if entry.is_symlink():
				yield entry.path
	for folder, _, files in os.walk(sysconfig.get_path("stdlib")):
		if folder.endswith("__pycache__"):
			yield from (os.path.join(folder, f) for f in files)


def stage(path, root):
	"""PATH with its folders below ROOT, by the name without symbolic links in its folders."""
	folder = os.path.realpath(os.path.dirname(path))
	path = os.path.join(folder, os.path.basename(path))
	target = root + path
	if not os.path.lexists(path) or os.path.lexists(target):
		return
	if not os.path.isdir(root + folder):
		stage(folder, root)
	if os.path.isdir(path) and not os.path.islink(path):
		os.mkdir(target)
	elif os.path.islink(path):
		os.symlink(os.readlink(path), target)
	elif os.path.isfile(path):
		shutil.copyfile(path, target)	# a link would change the machine's own file's ctime
	else:
		return
	state = os.lstat(path)
	os.chown(target, state.st_uid, state.st_gid, follow_symlinks=False)
	if not os.path.islink(path):
		os.chmod(target, state.st_mode)


def build(path, roots):
	with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
		root = os.path.join(folder, "root")
		os.mkdir(root, 0o755)
		for package in sorted(closure(roots)):
			for name in listed(package):
				if name != "/." and not NOT_RUN.match(name):
					stage(name, root)
		for name in made():
			stage(name, root)
		image = os.path.join(folder, "image")
		size = int(subprocess.run(["du", "-sm", "--apparent-size", root], check=True,
					  capture_output=True, text=True).stdout.split()[0])
		subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0",
				"-N", "40000", "-d", root, image, f"{size + size // 2}M"],
			       check=True, stdout=subprocess.DEVNULL)
		os.chmod(image, 0o600)
		os.rename(image, path)


def image(path, roots):
	"""Builds PATH from the packages ROOTS if that isn't done, or is older than what is installed."""
	os.makedirs(os.path.dirname(path), exist_ok=True)
	with open(path + ".lock", "w") as lock:
		fcntl.flock(lock, fcntl.LOCK_EX)
		newest = max(os.stat(f).st_mtime for f in (STATUS, "/etc/ld.so.cache", __file__))
		if not os.path.exists(path) or os.stat(path).st_mtime <= newest:
			build(path, roots)
	return path
