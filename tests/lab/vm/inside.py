# SPDX-License-Identifier: GPL-2.0-or-later
"""The far end of `lab run` and `lab shell`: serves the virtio-serial ports lab0..labN.

Lines "KIND BASE64" both ways. In: hello, run, in, size, kill, poweroff. Out: hello, out, err, exit.
A client that goes away takes its script with it; what the script left running in a session of its
own stays, so that one script may start what the next one looks at.
"""
import base64
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time

LAB = "/run/lab"


class Gone(Exception):
	pass


class Port:
	def __init__(self, path):
		self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
		self.buffer = b""
		self.lines = []

	def send(self, kind, data=b""):
		line = kind + b" " + base64.b64encode(data) + b"\n"
		while line:
			try:
				line = line[os.write(self.fd, line):]
			except BlockingIOError:
				self.wait(select.POLLOUT)

	def wait(self, what):
		poll = select.poll()
		poll.register(self.fd, what)
		for _, got in poll.poll():
			if got & select.POLLHUP:
				raise Gone

	def fill(self):
		"""Reads what is there; Gone when nobody is at the other end."""
		try:
			data = os.read(self.fd, 65536)
		except BlockingIOError:
			return
		if not data:
			raise Gone
		self.buffer += data
		*whole, self.buffer = self.buffer.split(b"\n")
		for raw in whole:
			kind, _, data = raw.partition(b" ")
			try:
				self.lines.append((kind, base64.b64decode(data)))
			except ValueError:
				pass	# the end of what an earlier client did not finish

	def next(self):
		while not self.lines:
			self.wait(select.POLLIN)
			self.fill()
		return self.lines.pop(0)


class Job:
	"""One script or shell: its process, its output pipes or terminal."""
	def __init__(self, request):
		env = dict(os.environ, HOME="/root", LANG="C.UTF-8", TERM="dumb", **settings())
		env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		env["LIBVIRT_DEFAULT_URI"] = "qemu:///system"
		env.update(request["env"])
		self.tty = -1
		self.outputs = {}
		keep = dict(cwd=env["LAB_PROJECT"], env=env, start_new_session=True)
		if request.get("tty"):
			self.start_terminal(keep)
		else:
			self.start_script(request, keep)
		self.pidfd = os.pidfd_open(self.process.pid)

	def start_terminal(self, keep):
		self.tty, inner = pty.openpty()
		self.outputs[self.tty] = b"out"
		self.process = subprocess.Popen(
			["bash", "-i"], stdin=inner, stdout=inner, stderr=inner,
			preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **keep)
		os.close(inner)

	def start_script(self, request, keep):
		path = request.get("path")
		if not path:
			path = f"{LAB}/script-{time.monotonic_ns()}"
			with open(path, "wb") as f:
				f.write(base64.b64decode(request["script"]))
		out, out_w = os.pipe()
		err, err_w = (out, out_w) if request["merge"] else os.pipe()
		self.process = subprocess.Popen(["bash", path, *request["args"]], stdout=out_w,
						stderr=err_w, stdin=subprocess.DEVNULL, **keep)
		for fd in {out_w, err_w}:
			os.close(fd)
		self.outputs[err] = b"err"
		self.outputs[out] = b"out"

	def size(self, data):
		rows, columns = map(int, data.split())
		fcntl.ioctl(self.tty, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

	def signal(self, number):
		try:
			os.killpg(self.process.pid, number)
		except ProcessLookupError:
			pass

	def end(self):
		"""Politely, then for good."""
		self.signal(signal.SIGHUP if self.tty >= 0 else signal.SIGTERM)
		try:
			self.process.wait(5)
		except subprocess.TimeoutExpired:
			pass
		self.signal(signal.SIGKILL)
		self.process.wait()

	def close(self):
		for fd in [*self.outputs, self.pidfd]:
			os.close(fd)
		self.outputs = {}


def settings():
	out = {}
	import shlex
	with open(f"{LAB}/env") as f:
		for line in f:
			key, _, value = line.strip().partition("=")
			out[key] = shlex.split(value)[0] if value not in ("", "''") else ""
	return out


def forward(port, job, fd):
	"""Sends one piece of output; False at its end."""
	try:
		data = os.read(fd, 32768)
	except OSError:		# a terminal whose shell has ended
		data = b""
	if data:
		port.send(job.outputs[fd], data)
		return True
	if fd == job.tty:
		job.tty = -1
	del job.outputs[fd]
	os.close(fd)
	return False


def drain(port, job):
	"""What is in the pipes when the script ends; a daemon that keeps them open isn't waited for."""
	for fd in list(job.outputs):
		while select.select([fd], [], [], 0)[0] and forward(port, job, fd):
			pass


def obey(port, job):
	"""What the client says while its script runs; True when it wants the script's end."""
	port.fill()
	while port.lines:
		kind, data = port.lines[0]
		if kind == b"hello":	# another client already: it is answered by serve()
			raise Gone
		port.lines.pop(0)
		if kind == b"in" and job.tty >= 0:
			os.write(job.tty, data)
		elif kind == b"size" and job.tty >= 0:
			job.size(data)
		elif kind == b"kill":
			return True
	return False


def run(port, request):
	job = Job(request)
	try:
		while True:
			poll = select.poll()
			for fd in [port.fd, job.pidfd, *job.outputs]:
				poll.register(fd, select.POLLIN)
			ready = dict(poll.poll())
			for fd in [fd for fd in job.outputs if fd in ready]:
				forward(port, job, fd)
			if port.fd in ready and obey(port, job):
				job.end()
			if job.pidfd in ready or job.process.poll() is not None:
				break
		drain(port, job)
		status = job.process.wait()
		port.send(b"exit", b"%d" % (status if status >= 0 else 128 - status))
	finally:
		job.end()
		job.close()


def serve(path):
	port = Port(path)
	while True:
		try:
			kind, data = port.next()
			if kind == b"hello":
				port.send(b"hello", data)
			elif kind == b"run":
				run(port, json.loads(data))
			elif kind == b"poweroff":
				power_off()
		except Gone:
			if not port.lines:
				port.buffer = b""
				time.sleep(0.3)
		except Exception as e:
			port.send(b"err", f"lab: inside: {e!r}\n".encode())
			port.send(b"exit", b"125")


def power_off():
	if os.path.isdir("/run/systemd/system"):
		subprocess.run(["systemctl", "poweroff", "--no-block"])
		return
	os.kill(-1, signal.SIGTERM)	# everyone but PID 1 and this process
	time.sleep(1)
	os.sync()
	subprocess.run(["/bin/busybox", "poweroff", "-f"])


def main():
	threads = []
	for port in sorted(os.listdir("/sys/class/virtio-ports")):
		with open(f"/sys/class/virtio-ports/{port}/name") as f:
			if f.read().startswith("lab"):
				threads.append(threading.Thread(target=serve, args=(f"/dev/{port}",)))
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()


main()
