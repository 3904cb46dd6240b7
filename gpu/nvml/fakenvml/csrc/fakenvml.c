/* A stand-in for libnvidia-ml.so.1 for tests: the part of NVML's C interface
 * that jouletop calls, on simulated GPUs whose state lies in a file shared by
 * every process that maps it, so that a locked clock outlives its process as it
 * does on a real GPU. The Go package fakenvml builds it and documents the state.
 *
 * The state is an array of 64-bit slots read and written atomically, without a
 * lock: a process that is killed or stopped inside a call blocks no other.
 * Functions and structures follow NVIDIA's published nvml.h; the declarations
 * are our own and hold only what is needed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef unsigned int u32;
typedef unsigned long long u64;
typedef int ret_t;

enum {
	OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4,
	NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15,
	VERSION_MISMATCH = 25,
};

/* The slots: the same order as in state.go. */
enum { H_MAGIC, H_VERSION, H_DEVICES, H_INIT_FAULT, H_LOG_NEXT, H_STAMP_SHIFT_NS, H_LOADED, H_DRIVER = 16 };
enum {
	NAME = 0, UUID = 12, VBIOS = 24,
	MIN_MHZ = 32, MAX_MHZ, STEP_MHZ, MEM_MHZ, UNLOCKED_MHZ,
	LOCK, PREV_MHZ, CHANGED_NS, SETTLE_NS, CAP_MHZ, STUCK,
	LOST, PERMISSION, UNSUPPORTED, SET_LATENCY_US, HANG_MS, HANG_LEFT,
	SET_FAULT, SET_FAULT_LEFT, RESET_FAULT, RESET_FAULT_LEFT,
	READ_FAULT_EVERY, READ_FAULT, READS, CALL_US, BUFFER_CALL_US, COUNTER_CALL_US,
	POWER_LOW_MW, POWER_HIGH_MW, POWER_PERIOD_NS,
	AVERAGE_PERIOD_NS, AVERAGE_WINDOW_NS, INSTANT_PERIOD_NS, INSTANT_WINDOW_NS,
	BUFFER_PERIOD_NS, BUFFER_LEN, COUNTER_PERIOD_NS, COUNTER_OFFSET_MJ,
	POWER_LIMIT_MW, TEMP_C, GPU_UTIL, MEM_UTIL, MEM_TOTAL_MIB, MEM_USED_MIB, THROTTLE,
	TENSOR_MILLIPCT, DRAM_MILLIPCT, MIG, PROCESSES, HANDLE_FAULT,
	PROCESS_LIST = 96, /* pairs: pid << 32 | kind (0 compute, 1 graphics, 2 MPS), MiB */
	/* How the sensors are wrong. */
	WRONG_SOURCES = 160, WRONG_MW, WRONG_EVERY, WRONG_FROM_NS, WRONG_TO_NS,
	SCALED_SOURCES, SCALED_PCT, READS_HANG_UNTIL_NS, STAMP_SHIFT_NS, BUFFER_LAG_NS,
	/* The other knobs. */
	MEM_LOW_MHZ, MEM_LOCK, POWER_MIN_MW, POWER_MAX_MW, POWER_DEFAULT_MW, POWER_FLOOR_MW,
	PROFILES, REQUESTED, LIST_HANG_MS, FAULT_KNOBS,
	/* For how long limits held the clocks. */
	LIMITS_COUNTED, POWER_HELD_MILLI, POWER_HELD_NS, HEAT_HELD_MILLI, HEAT_HELD_NS,
	/* What is in force of the knobs. */
	LIMITER_MW, PROFILES_OUT,
	PROCESS_USE = 192, /* of each in the list: SM %, memory % << 8 */
};
enum { KNOB_SM, KNOB_MEM, KNOB_POWER, KNOB_PROFILE };
enum { MAX_PROCESSES = 32, MAX_DEVICES = 16, HEADER_SLOTS = 64, DEVICE_SLOTS = 256,
       LOG_SLOTS = 8, LOG_ENTRIES = 4096 };
enum { L_SEQ, L_START_NS, L_END_NS, L_WHO, L_OP, L_CLOCKS, L_RET };
enum { OP_SET = 1, OP_RESET = 2 };
/* Bits of UNSUPPORTED. */
enum { NO_LOCK = 1, NO_AVERAGE = 2, NO_INSTANT = 4, NO_BUFFER = 8, NO_COUNTER = 16, NO_GPM = 32,
       NO_CLOCK_LIST = 64, NO_THROTTLE = 128, NO_PROCESSES = 256, NO_CLOCK = 512, NO_POWER_LIMIT = 1024,
       NO_MEMORY = 2048, NO_MEMORY_CLOCK = 4096, NO_TEMPERATURE = 8192, NO_VBIOS = 16384, NO_PCI = 32768,
       NO_MEM_LOCK = 65536, NO_POWER_SET = 131072, NO_POWER_DEFAULT = 262144,
       NO_PROCESS_USE = 524288 };
/* Values of PERMISSION. */
enum { ROOT_ONLY = 0, NOBODY = 1, ANYBODY = 2 };

static const u64 magic = 0x314c4d564e54464aull; /* "JFTNVML1" */
enum { VERSION = 1 };
static const size_t total_slots = HEADER_SLOTS + MAX_DEVICES * DEVICE_SLOTS + LOG_ENTRIES * LOG_SLOTS;

static u64 *volatile state;
static char mapped[4096]; /* path of the mapped file */
static int inits;
static u64 initialised; /* H_LOADED at the first init: the driver that this process talks to */
static pthread_mutex_t init_mutex = PTHREAD_MUTEX_INITIALIZER;

struct device { int index; };
static struct device devices[MAX_DEVICES];

static u64 get(u64 *s) { return __atomic_load_n(s, __ATOMIC_SEQ_CST); }
static void put(u64 *s, u64 v) { __atomic_store_n(s, v, __ATOMIC_SEQ_CST); }
static u64 inc(u64 *s) { return __atomic_fetch_add(s, 1, __ATOMIC_SEQ_CST); }

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/*
 * wall_offset is the wall clock less CLOCK_MONOTONIC, by the narrowest of a few
 * tries: a driver stamps a sample when it takes it, whoever has the processor.
 */
static int64_t wall_offset(void)
{
	int64_t best = INT64_MAX, offset = 0;
	for (int i = 0; i < 5 && best > 2000; i++) {
		int64_t before = now_ns(), wall = clock_ns(CLOCK_REALTIME), took = now_ns() - before;
		if (took < best) {
			best = took;
			offset = wall - before - took / 2;
		}
	}
	return offset;
}

/* Time stamps of the driver are on the wall clock, in us. */
static u64 wall_us(int64_t mono)
{
	return (u64)(mono + wall_offset() + (int64_t)get(state + H_STAMP_SHIFT_NS)) / 1000;
}

/* burn takes processor time, as the real library's calls do. */
static void burn(u64 us)
{
	if (us == 0)
		return;
	int64_t end = now_ns() + (int64_t)us * 1000;
	while (now_ns() < end)
		;
}

static void wait_us(u64 us)
{
	struct timespec left = {us / 1000000, us % 1000000 * 1000};
	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* take uses up one of *left times; below 0 means always. */
static int take(u64 *left)
{
	u64 v = get(left);
	while ((int64_t)v > 0)
		if (__atomic_compare_exchange_n(left, &v, v - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return 1;
	return (int64_t)v < 0;
}

static ret_t find(struct device *dev, u64 **d)
{
	if (inits == 0 || state == NULL)
		return UNINITIALIZED;
	if (get(state + H_LOADED) != initialised)
		return DRIVER_NOT_LOADED; /* it was reloaded since */
	if (dev < devices || dev >= devices + MAX_DEVICES || (u64)dev->index >= get(state + H_DEVICES))
		return INVALID_ARGUMENT;
	*d = state + HEADER_SLOTS + dev->index * DEVICE_SLOTS;
	return get(*d + LOST) ? GPU_IS_LOST : OK;
}

static void hang_reads(u64 *d)
{
	int64_t left = (int64_t)get(d + READS_HANG_UNTIL_NS) - now_ns();
	if (left > 0)
		wait_us(left / 1000);
}

/* reading starts a call that reads a sensor: its cost, its faults. */
static ret_t reading(struct device *dev, u64 **d, u64 unsupported, int cost)
{
	ret_t r = find(dev, d);
	if (r != OK)
		return r;
	burn(get(*d + cost));
	hang_reads(*d);
	if (get(*d + UNSUPPORTED) & unsupported)
		return NOT_SUPPORTED;
	u64 n = inc(*d + READS) + 1, every = get(*d + READ_FAULT_EVERY);
	if (every && n % every == 0)
		return (ret_t)get(*d + READ_FAULT);
	return OK;
}

#define READ(unsupported, cost) \
	u64 *d; \
	ret_t r = reading(dev, &d, unsupported, cost); \
	if (r != OK) \
		return r

#define FIXED() \
	u64 *d; \
	ret_t r = find(dev, &d); \
	if (r != OK) \
		return r

#define OFFERED(unsupported) \
	if (get(d + UNSUPPORTED) & (unsupported)) \
		return NOT_SUPPORTED

static ret_t text(const void *slots, size_t cap, char *out, u32 n)
{
	size_t len = strnlen(slots, cap);
	if (n < len + 1)
		return INSUFFICIENT_SIZE;
	memcpy(out, slots, len);
	out[len] = 0;
	return OK;
}

/* --- the library ------------------------------------------------------- */

static ret_t map(const char *path)
{
	if (state && strcmp(path, mapped) == 0)
		return OK;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return errno == EACCES ? NO_PERMISSION : DRIVER_NOT_LOADED;
	u64 *m = MAP_FAILED;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size >= total_slots * sizeof(u64))
		m = mmap(NULL, total_slots * sizeof(u64), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (m == MAP_FAILED || get(m + H_MAGIC) != magic || get(m + H_VERSION) != VERSION ||
	    strlen(path) >= sizeof mapped)
		return DRIVER_NOT_LOADED;
	/* An earlier mapping stays: another thread may be reading it. */
	strcpy(mapped, path);
	state = m;
	initialised = get(state + H_LOADED);
	return OK;
}

ret_t nvmlInitWithFlags(u32 flags)
{
	(void)flags;
	const char *path = getenv("JOULETOP_FAKENVML_STATE");
	if (!path || !*path)
		return DRIVER_NOT_LOADED;
	pthread_mutex_lock(&init_mutex);
	ret_t r = map(path);
	if (r == OK)
		r = (ret_t)get(state + H_INIT_FAULT);
	if (r == OK) {
		for (int i = 0; i < MAX_DEVICES; i++)
			devices[i].index = i;
		if (inits++ == 0)
			initialised = get(state + H_LOADED);
	}
	pthread_mutex_unlock(&init_mutex);
	return r;
}

ret_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
ret_t nvmlInit(void) { return nvmlInitWithFlags(0); }

ret_t nvmlShutdown(void)
{
	pthread_mutex_lock(&init_mutex);
	ret_t r = inits > 0 ? OK : UNINITIALIZED;
	if (r == OK)
		inits--;
	pthread_mutex_unlock(&init_mutex);
	return r;
}

const char *nvmlErrorString(ret_t r)
{
	switch (r) {
	case OK: return "Success";
	case UNINITIALIZED: return "Uninitialized";
	case INVALID_ARGUMENT: return "Invalid Argument";
	case NOT_SUPPORTED: return "Not Supported";
	case NO_PERMISSION: return "Insufficient Permissions";
	case NOT_FOUND: return "Not Found";
	case INSUFFICIENT_SIZE: return "Insufficient Size";
	case DRIVER_NOT_LOADED: return "Driver Not Loaded";
	case GPU_IS_LOST: return "GPU is lost";
	case VERSION_MISMATCH: return "Argument version mismatch";
	}
	return "Unknown Error";
}

ret_t nvmlSystemGetDriverVersion(char *out, u32 n)
{
	return inits ? text(state + H_DRIVER, 64, out, n) : UNINITIALIZED;
}

ret_t nvmlSystemGetNVMLVersion(char *out, u32 n)
{
	return text("0.0-fake", 9, out, n);
}

ret_t nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = 13000; return inits ? OK : UNINITIALIZED; }
ret_t nvmlSystemGetCudaDriverVersion(int *v) { return nvmlSystemGetCudaDriverVersion_v2(v); }

ret_t nvmlDeviceGetCount_v2(u32 *n)
{
	if (!inits)
		return UNINITIALIZED;
	if (get(state + H_LOADED) != initialised)
		return DRIVER_NOT_LOADED;
	*n = (u32)get(state + H_DEVICES);
	return OK;
}

ret_t nvmlDeviceGetCount(u32 *n) { return nvmlDeviceGetCount_v2(n); }

ret_t nvmlDeviceGetHandleByIndex_v2(u32 index, struct device **dev)
{
	if (!inits)
		return UNINITIALIZED;
	if (index >= get(state + H_DEVICES))
		return INVALID_ARGUMENT;
	*dev = devices + index;
	return (ret_t)get(state + HEADER_SLOTS + index * DEVICE_SLOTS + HANDLE_FAULT);
}

ret_t nvmlDeviceGetHandleByIndex(u32 i, struct device **dev) { return nvmlDeviceGetHandleByIndex_v2(i, dev); }

ret_t nvmlDeviceGetHandleByUUID(const char *uuid, struct device **dev)
{
	if (!inits)
		return UNINITIALIZED;
	for (u64 i = 0; i < get(state + H_DEVICES); i++)
		if (strncmp((char *)(state + HEADER_SLOTS + i * DEVICE_SLOTS + UUID), uuid, 96) == 0) {
			*dev = devices + i;
			return OK;
		}
	return NOT_FOUND;
}

/* --- what a device is --------------------------------------------------- */

ret_t nvmlDeviceGetName(struct device *dev, char *out, u32 n) { FIXED(); return text(d + NAME, 96, out, n); }
ret_t nvmlDeviceGetUUID(struct device *dev, char *out, u32 n) { FIXED(); return text(d + UUID, 96, out, n); }
ret_t nvmlDeviceGetVbiosVersion(struct device *dev, char *out, u32 n) { FIXED(); OFFERED(NO_VBIOS); return text(d + VBIOS, 64, out, n); }
ret_t nvmlDeviceGetIndex(struct device *dev, u32 *v) { FIXED(); *v = dev->index; return OK; }
ret_t nvmlDeviceGetMinorNumber(struct device *dev, u32 *v) { FIXED(); *v = dev->index; return OK; }
ret_t nvmlDeviceGetPersistenceMode(struct device *dev, u32 *v) { FIXED(); *v = 1; return OK; }

struct pci_v2 { char id_short[16]; u32 domain, bus, device, ids, subsystem, reserved[4]; };
struct pci_v3 { char id_short[16]; u32 domain, bus, device, ids, subsystem; char id[32]; };

/* GPU i is alone on bus i + 1. */
ret_t nvmlDeviceGetPciInfo_v3(struct device *dev, struct pci_v3 *p)
{
	FIXED();
	OFFERED(NO_PCI);
	memset(p, 0, sizeof *p);
	p->bus = (u32)dev->index + 1;
	snprintf(p->id_short, sizeof p->id_short, "0000:%02X:00.0", p->bus);
	snprintf(p->id, sizeof p->id, "00000000:%02X:00.0", p->bus);
	return OK;
}

ret_t nvmlDeviceGetPciInfo_v2(struct device *dev, struct pci_v2 *p)
{
	FIXED();
	OFFERED(NO_PCI);
	memset(p, 0, sizeof *p);
	p->bus = (u32)dev->index + 1;
	snprintf(p->id_short, sizeof p->id_short, "0000:%02X:00.0", p->bus);
	return OK;
}

ret_t nvmlDeviceGetCudaComputeCapability(struct device *dev, int *major, int *minor)
{
	FIXED();
	*major = 9, *minor = 0;
	return OK;
}

ret_t nvmlDeviceGetMigMode(struct device *dev, u32 *current, u32 *pending)
{
	FIXED();
	*current = *pending = (u32)get(d + MIG);
	return OK;
}

ret_t nvmlDeviceGetSupportedMemoryClocks(struct device *dev, u32 *count, u32 *mhz)
{
	FIXED();
	if (get(d + UNSUPPORTED) & NO_CLOCK_LIST)
		return NOT_SUPPORTED;
	wait_us(get(d + LIST_HANG_MS) * 1000);
	u32 room = *count, low = (u32)get(d + MEM_LOW_MHZ);
	*count = low ? 2 : 1;
	if (room < *count)
		return INSUFFICIENT_SIZE;
	mhz[0] = (u32)get(d + MEM_MHZ);
	if (low)
		mhz[1] = low;
	return OK;
}

ret_t nvmlDeviceGetSupportedGraphicsClocks(struct device *dev, u32 mem, u32 *count, u32 *mhz)
{
	FIXED();
	if (get(d + UNSUPPORTED) & NO_CLOCK_LIST)
		return NOT_SUPPORTED;
	if (mem != get(d + MEM_MHZ) && mem != get(d + MEM_LOW_MHZ))
		return NOT_FOUND;
	u32 lo = get(d + MIN_MHZ), hi = get(d + MAX_MHZ), step = get(d + STEP_MHZ), room = *count;
	*count = (hi - lo) / step + 1;
	if (room < *count)
		return INSUFFICIENT_SIZE;
	for (u32 i = 0; i < *count; i++)
		mhz[i] = hi - i * step;
	return OK;
}

enum { CLOCK_GRAPHICS, CLOCK_SM, CLOCK_MEM, CLOCK_VIDEO };

ret_t nvmlDeviceGetMaxClockInfo(struct device *dev, u32 type, u32 *mhz)
{
	FIXED();
	*mhz = (u32)get(d + (type == CLOCK_MEM ? MEM_MHZ : MAX_MHZ));
	return OK;
}


/* --- clocks ------------------------------------------------------------- */

static u32 locked_to(u64 *d, u64 lock)
{
	u32 mhz = (u32)get(d + UNLOCKED_MHZ), lo = lock >> 32, hi = (u32)lock;
	if (lock) {
		mhz = mhz < lo ? lo : mhz > hi ? hi : mhz;
		u32 min = get(d + MIN_MHZ), step = get(d + STEP_MHZ);
		if (mhz > min)
			mhz = min + (mhz - min) / step * step; /* the driver rounds to its steps */
	}
	return mhz;
}

/* achieved is the SM clock at mono time t: the old one until it has settled. */
static u32 achieved(u64 *d, int64_t t)
{
	u32 mhz, cap = (u32)get(d + CAP_MHZ);
	if (get(d + STUCK))
		mhz = (u32)get(d + UNLOCKED_MHZ);
	else if (get(d + PREV_MHZ) && t < (int64_t)(get(d + CHANGED_NS) + get(d + SETTLE_NS)))
		mhz = (u32)get(d + PREV_MHZ);
	else
		mhz = locked_to(d, get(d + LOCK));
	return cap && mhz > cap ? cap : mhz;
}

ret_t nvmlDeviceGetClockInfo(struct device *dev, u32 type, u32 *mhz)
{
	READ(type == CLOCK_MEM ? NO_MEMORY_CLOCK : type == CLOCK_SM ? NO_CLOCK : 0, CALL_US);
	u32 lock = (u32)get(d + MEM_LOCK);
	*mhz = type != CLOCK_MEM ? achieved(d, now_ns()) : lock ? lock : (u32)get(d + MEM_MHZ);
	return OK;
}

ret_t nvmlDeviceGetClock(struct device *dev, u32 type, u32 id, u32 *mhz)
{
	return id == 0 ? nvmlDeviceGetClockInfo(dev, type, mhz) : NOT_SUPPORTED;
}

static ret_t permitted(u64 *d)
{
	u64 p = get(d + PERMISSION);
	return p == NOBODY || (p == ROOT_ONLY && geteuid() != 0) ? NO_PERMISSION : OK;
}

/* allowed tells whether a knob takes a value that is set. */
static ret_t allowed(u64 *d, int knob, u64 v)
{
	u32 lo = v >> 32, hi = (u32)v;
	int ok = 1;
	switch (knob) {
	case KNOB_SM: ok = lo <= hi && hi >= get(d + MIN_MHZ) && lo <= get(d + MAX_MHZ); break;
	case KNOB_MEM: ok = lo <= hi && (hi == get(d + MEM_MHZ) || hi == get(d + MEM_LOW_MHZ)); break;
	case KNOB_POWER: ok = v >= get(d + POWER_MIN_MW) && v <= get(d + POWER_MAX_MW); break;
	case KNOB_PROFILE: ok = (v & ~get(d + PROFILES)) == 0; break;
	}
	return ok ? OK : INVALID_ARGUMENT;
}

/* take_effect makes the knob what the call asked for. */
static void take_effect(u64 *d, int knob, u64 v)
{
	u64 floor = get(d + POWER_FLOOR_MW);
	int64_t t = now_ns();
	switch (knob) {
	case KNOB_SM:
		put(d + PREV_MHZ, achieved(d, t));
		put(d + CHANGED_NS, t);
		put(d + LOCK, v);
		break;
	case KNOB_MEM: put(d + MEM_LOCK, v); break;
	case KNOB_POWER: put(d + POWER_LIMIT_MW, v < floor ? floor : v); break;
	case KNOB_PROFILE: put(d + REQUESTED, v); break;
	}
}

/* change is a call that sets or resets a knob: logged when it starts and again when
 * it returns, so that a killed caller leaves an entry without an end. */
static ret_t change(struct device *dev, int knob, int op, u64 v)
{
	static const u64 lacks[] = {NO_LOCK, NO_MEM_LOCK, NO_POWER_LIMIT | NO_POWER_SET, 0};
	u64 *d;
	ret_t r = find(dev, &d);
	if (r == UNINITIALIZED || r == INVALID_ARGUMENT)
		return r;
	u64 seq = inc(state + H_LOG_NEXT);
	u64 *e = state + HEADER_SLOTS + MAX_DEVICES * DEVICE_SLOTS + seq % LOG_ENTRIES * LOG_SLOTS;
	put(e + L_END_NS, 0);
	put(e + L_START_NS, now_ns());
	put(e + L_WHO, (u64)getpid() << 32 | (u32)geteuid());
	put(e + L_OP, (u64)knob << 48 | (u64)op << 32 | (u32)dev->index);
	put(e + L_CLOCKS, v);
	put(e + L_RET, 0);
	put(e + L_SEQ, seq + 1);

	/* Faults are of every knob, or of those named. */
	u64 named = get(d + FAULT_KNOBS);
	int faulty = !named || named >> knob & 1;
	if (r == OK && (get(d + UNSUPPORTED) & lacks[knob] || (knob == KNOB_PROFILE && !get(d + PROFILES))))
		r = NOT_SUPPORTED;
	if (r == OK)
		r = permitted(d);
	if (r == OK && op == OP_SET)
		r = allowed(d, knob, v);
	if (r == OK) {
		wait_us(get(d + SET_LATENCY_US));
		if (faulty && get(d + HANG_MS) && take(d + HANG_LEFT))
			wait_us(get(d + HANG_MS) * 1000);
		if (get(d + LOST))
			r = GPU_IS_LOST;
		else if (faulty && op == OP_SET && get(d + SET_FAULT) && take(d + SET_FAULT_LEFT))
			r = (ret_t)get(d + SET_FAULT);
		else if (faulty && op == OP_RESET && get(d + RESET_FAULT) && take(d + RESET_FAULT_LEFT))
			r = (ret_t)get(d + RESET_FAULT);
	}
	if (r == OK)
		take_effect(d, knob, v);
	put(e + L_RET, (u64)r);
	put(e + L_END_NS, now_ns());
	return r;
}

ret_t nvmlDeviceSetGpuLockedClocks(struct device *dev, u32 lo, u32 hi)
{
	return change(dev, KNOB_SM, OP_SET, (u64)lo << 32 | hi);
}

ret_t nvmlDeviceResetGpuLockedClocks(struct device *dev) { return change(dev, KNOB_SM, OP_RESET, 0); }
