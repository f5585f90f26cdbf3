// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stand-ins for guests, a thousand times cheaper than QEMU: processes whose threads have the names
 * that QEMU gives them and sleep, in groups laid out as libvirt's on a host without systemd, with
 * the status files that libvirt would keep of them and a node file for its test driver.
 *
 *   standin COUNT VCPUS IOTHREADS DIR
 *
 * DIR gets node.xml (URI test:///DIR/node.xml or test+unix:///DIR/node.xml), state/NAME.xml and
 * threads, a line each: GUEST LEAF TID. Guest i is pinned to the two first CPUs of node i % NODES.
 * Prints "ready" and then waits; SIGTERM or the end of its input ends the guests and their groups.
 * A guest that gets SIGUSR1 makes a thread that soon calls itself vhost-1; one that gets SIGUSR2
 * gives its worker the name vhost-2, of which no hook tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MACHINE "/sys/fs/cgroup/machine"
#define STACK_BYTES 65536
#define THREADS_MAX 64
#define TEXT_MAX 256

/* One thread of a guest: in memory that parent and child share. */
struct member {
	char leaf[24];
	char comm[24]; /* of which the kernel keeps 15 */
	pid_t tid;
};

struct guest {
	unsigned int number;
	pid_t pid;
	struct member members[THREADS_MAX];
	int ready; /* all tids are known */
};

static unsigned int vcpus, iothreads, members, node_count;
static char cpus_of_node[64][TEXT_MAX];

static void die(const char *what)
{
	fprintf(stderr, "standin: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void __attribute__((format(printf, 2, 3))) put(const char *path, const char *fmt, ...)
{
	char text[TEXT_MAX];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (fd < 0 || write(fd, text, (size_t)len) < 0)
		die(path);
	close(fd);
}

static void base_of(const struct guest *guest, char path[TEXT_MAX])
{
	snprintf(path, TEXT_MAX, MACHINE "/qemu-%u-standin%u.libvirt-qemu", guest->number + 1,
		 guest->number);
}

static const char *cpus_of(const struct guest *guest)
{
	return cpus_of_node[guest->number % node_count];
}

/* ---- the process ------------------------------------------------------------------------- */

static volatile sig_atomic_t helper_asked, name_asked;

static void ask(int number)
{
	if (number == SIGUSR1)
		helper_asked = 1;
	else
		name_asked = 1;
}

static void *sleep_for_ever(void *arg)
{
	struct member *member = arg;

	prctl(PR_SET_NAME, member->comm);
	__atomic_store_n(&member->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return NULL;
}

/* A thread gets its name a while after it was made, as QEMU's do on a busy host. */
static void *help(void *arg)
{
	usleep(500000);
	prctl(PR_SET_NAME, "vhost-1");
	for (;;)
		pause();
	return arg;
}

static void name_members(struct guest *guest)
{
	struct member *m = guest->members;

	snprintf(m->leaf, sizeof(m->leaf), "emulator");
	snprintf(m->comm, sizeof(m->comm), "qemu-system-x86");
	for (unsigned int i = 0; i < vcpus; i++) {
		m = &guest->members[1 + i];
		snprintf(m->leaf, sizeof(m->leaf), "vcpu%u", i);
		snprintf(m->comm, sizeof(m->comm), "CPU %u/KVM", i);
	}
	for (unsigned int i = 0; i < iothreads; i++) {
		m = &guest->members[1 + vcpus + i];
		snprintf(m->leaf, sizeof(m->leaf), "iothread%u", i + 1);
		snprintf(m->comm, sizeof(m->comm), "IO iothread%u", i + 1);
	}
	m = &guest->members[1 + vcpus + iothreads]; /* a block layer's worker: the emulator's */
	snprintf(m->leaf, sizeof(m->leaf), "emulator");
	snprintf(m->comm, sizeof(m->comm), "worker");
}

static void be_guest(struct guest *guest, pid_t parent)
{
	struct sigaction action = {.sa_handler = ask};
	pthread_t thread, worker;
	pthread_attr_t attr;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	if (getppid() != parent)
		_exit(1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (unsigned int i = 1; i < members; i++)
		if (pthread_create(&thread, &attr, sleep_for_ever, &guest->members[i]))
			_exit(1);
	worker = thread; /* the last */
	for (unsigned int i = 1; i < members; i++)
		while (!__atomic_load_n(&guest->members[i].tid, __ATOMIC_ACQUIRE))
			usleep(1000);
	prctl(PR_SET_NAME, guest->members[0].comm);
	__atomic_store_n(&guest->ready, 1, __ATOMIC_RELEASE);
	for (;;) {
		pause(); /* the main thread is the one that gets the process's signals */
		if (helper_asked && pthread_create(&thread, &attr, help, NULL))
			_exit(1);
		if (name_asked && pthread_setname_np(worker, "vhost-2"))
			_exit(1);
		helper_asked = name_asked = 0;
	}
}

/* ---- its groups -------------------------------------------------------------------------- */

/* Leaves, pinned as libvirt does it. */
static void make_groups(const struct guest *guest)
{
	char base[TEXT_MAX], path[2 * TEXT_MAX];

	base_of(guest, base);
	if (mkdir(base, 0755))
		die(base);
	for (unsigned int i = 0; i < members; i++) {
		snprintf(path, sizeof(path), "%s/%s", base, guest->members[i].leaf);
		if (mkdir(path, 0755)) {
			if (errno == EEXIST)
				continue;
			die(path);
		}
		snprintf(path, sizeof(path), "%s/%s/cgroup.type", base, guest->members[i].leaf);
		put(path, "threaded");
	}
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", base);
	put(path, "+cpuset +cpu");
	for (unsigned int i = 0; i < members; i++) {
		snprintf(path, sizeof(path), "%s/%s/cpuset.mems", base, guest->members[i].leaf);
		put(path, "%u", guest->number % node_count);
		snprintf(path, sizeof(path), "%s/%s/cpuset.cpus", base, guest->members[i].leaf);
		put(path, "%s", cpus_of(guest));
	}
}

/* For one guest after the other without a pause: a lone attach takes 100 times as long. */
static void place(struct guest *guest)
{
	char base[TEXT_MAX], path[2 * TEXT_MAX];

	while (!__atomic_load_n(&guest->ready, __ATOMIC_ACQUIRE))
		usleep(1000);
	base_of(guest, base);
	snprintf(path, sizeof(path), "%s/cgroup.procs", base);
	put(path, "%d", guest->pid);
	for (unsigned int i = 0; i < members; i++) {
		snprintf(path, sizeof(path), "%s/%s/cgroup.threads", base, guest->members[i].leaf);
		put(path, "%d", guest->members[i].tid);
	}
}

static void remove_groups(const struct guest *guest)
{
	char base[TEXT_MAX], path[2 * TEXT_MAX];

	base_of(guest, base);
	for (unsigned int i = 0; i < members; i++) {
		snprintf(path, sizeof(path), "%s/%s", base, guest->members[i].leaf);
		rmdir(path);
	}
	snprintf(path, sizeof(path), "%s/helper", base); /* the agent's, for helper threads */
	rmdir(path);
	rmdir(base);
}

/* ---- what libvirt says of it ------------------------------------------------------------- */

static void uuid_of(const struct guest *guest, char uuid[37])
{
	snprintf(uuid, 37, "5ca1ab1e-0000-4000-8000-%012u", guest->number);
}

static void write_domain(FILE *file, const struct guest *guest)
{
	char uuid[37];

	uuid_of(guest, uuid);
	fprintf(file,
		"<domain type='test'><name>standin%u</name><uuid>%s</uuid>"
		"<memory unit='MiB'>64</memory><vcpu placement='static'>%u</vcpu>"
		"<iothreads>%u</iothreads><cputune>",
		guest->number, uuid, vcpus, iothreads);
	for (unsigned int i = 0; i < vcpus; i++)
		fprintf(file, "<vcpupin vcpu='%u' cpuset='%s'/>", i, cpus_of(guest));
	fprintf(file, "<emulatorpin cpuset='%s'/>", cpus_of(guest));
	for (unsigned int i = 1; i <= iothreads; i++)
		fprintf(file, "<iothreadpin iothread='%u' cpuset='%s'/>", i, cpus_of(guest));
	fprintf(file,
		"</cputune><numatune><memory mode='strict' nodeset='%u'/></numatune>"
		"<os><type>hvm</type></os></domain>\n",
		guest->number % node_count);
}

static void write_status(const char *dir, const struct guest *guest)
{
	char path[2 * TEXT_MAX], uuid[37];
	FILE *file;

	uuid_of(guest, uuid);
	snprintf(path, sizeof(path), "%s/state/standin%u.xml", dir, guest->number);
	file = fopen(path, "we");
	if (!file)
		die(path);
	fprintf(file, "<domstatus state='running' reason='booted' pid='%d'>\n<vcpus>\n", guest->pid);
	for (unsigned int i = 0; i < vcpus; i++)
		fprintf(file, "<vcpu id='%u' pid='%d'/>\n", i, guest->members[1 + i].tid);
	fprintf(file, "</vcpus>\n<domain type='kvm'><name>standin%u</name><uuid>%s</uuid></domain>\n"
		      "</domstatus>\n",
		guest->number, uuid);
	if (fclose(file))
		die(path);
}

static void write_files(const char *dir, const struct guest *guests, unsigned int count)
{
	char path[2 * TEXT_MAX];
	FILE *node, *threads;

	snprintf(path, sizeof(path), "%s/node.xml", dir);
	node = fopen(path, "we");
	snprintf(path, sizeof(path), "%s/threads", dir);
	threads = fopen(path, "we");
	if (!node || !threads)
		die(path);
	fprintf(node, "<node>\n");
	for (unsigned int i = 0; i < count; i++) {
		write_domain(node, &guests[i]);
		write_status(dir, &guests[i]);
		for (unsigned int j = 0; j < members; j++)
			fprintf(threads, "%u %s %d\n", i, guests[i].members[j].leaf,
				guests[i].members[j].tid);
	}
	fprintf(node, "</node>\n");
	if (fclose(node) || fclose(threads))
		die(path);
}

/* ---- all of them ------------------------------------------------------------------------- */

static void read_nodes(void)
{
	for (node_count = 0; node_count < 64; node_count++) {
		char path[TEXT_MAX];
		unsigned int first;
		FILE *file;

		snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/cpulist", node_count);
		file = fopen(path, "re");
		if (!file)
			break;
		if (fscanf(file, "%u", &first) != 1)
			die(path);
		fclose(file);
		snprintf(cpus_of_node[node_count], TEXT_MAX, "%u-%u", first, first + 1);
	}
	if (!node_count)
		die("the NUMA nodes");
}

static void start(struct guest *guest)
{
	pid_t parent = getpid(), pid;

	name_members(guest);
	make_groups(guest);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		be_guest(guest, parent);
	guest->pid = pid; /* not by fork() itself: the memory is the child's, too */
	guest->members[0].tid = pid;
}

static void stop(struct guest *guests, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		kill(guests[i].pid, SIGKILL);
	for (unsigned int i = 0; i < count; i++) /* whoever started us may have left us other children */
		waitpid(guests[i].pid, NULL, 0);
	for (unsigned int i = 0; i < count; i++)
		remove_groups(&guests[i]);
}

static void on_signal(int number)
{
	(void)number; /* ends read() below */
}

static void prepare(const char *dir)
{
	char path[2 * TEXT_MAX];
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGTERM, &action, NULL);
	snprintf(path, sizeof(path), "%s/state", dir);
	if (mkdir(path, 0755) && errno != EEXIST)
		die(path);
	put("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset +cpu");
	if (mkdir(MACHINE, 0755) && errno != EEXIST)
		die(MACHINE);
	put(MACHINE "/cgroup.subtree_control", "+cpuset +cpu");
	read_nodes();
}

int main(int argc, char **argv)
{
	unsigned int count = argc == 5 ? (unsigned int)atoi(argv[1]) : 0;
	struct guest *guests;
	char c;

	vcpus = argc == 5 ? (unsigned int)atoi(argv[2]) : 0;
	iothreads = argc == 5 ? (unsigned int)atoi(argv[3]) : 0;
	members = 2 + vcpus + iothreads;
	if (!count || members > THREADS_MAX) {
		fprintf(stderr, "standin COUNT VCPUS IOTHREADS DIR\n");
		return 2;
	}
	guests = mmap(NULL, count * sizeof(*guests), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (guests == MAP_FAILED)
		die("mmap");
	prepare(argv[4]);
	for (unsigned int i = 0; i < count; i++) {
		guests[i].number = i;
		start(&guests[i]);
	}
	for (unsigned int i = 0; i < count; i++)
		place(&guests[i]);
	write_files(argv[4], guests, count);
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	stop(guests, count);
	return 0;
}
