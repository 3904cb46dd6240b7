// One round of a GPU's cheap readings, and a thread that makes one every few
// milliseconds. It is in C because a thread of the Go runtime that comes back
// from a sleep needs a place to run in Go, which other threads may hold while
// they themselves wait for a core: on a machine busy inferring, that delayed a
// poll by tens of milliseconds now and then. This thread needs nobody.
//
// NVML's functions are looked up in the library that go-nvml has loaded for the
// whole process (RTLD_GLOBAL). Types follow NVIDIA's nvml.h.
#define _GNU_SOURCE
#include "poll.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	ok = 0, uninitialized = 1, not_supported = 3, driver_not_loaded = 9, function_not_found = 13, gpu_is_lost = 15, reset_required = 16,
	version_mismatch = 18,
};
enum { clock_sm = 1, clock_memory = 2, temperature_gpu = 0, field_power_instant = 186 };
// What changes slowly is read every 100 ms, in ns.
enum { slow_every = 100000000 };
enum { metric_tensor = 5, metric_dram = 10, gpm_version = 1 };

typedef struct { unsigned gpu, memory; } utilisation;
typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct {
	unsigned field, scope;
	long long time_us, latency_us;
	int type, ret;
	union { double d; unsigned u; unsigned long long ull; } value;
} field_value;
typedef struct { unsigned id; int ret; double value; const char *names[3]; } gpm_metric;
// Room for as many metrics as any release lists; two are asked for.
typedef struct { unsigned version, count; void *sample1, *sample2; gpm_metric metrics[512]; } gpm_request;

struct jt_gpu {
	void *device;
	int offers;
	int (*clock_info)(void *, int, unsigned *);
	int (*temperature)(void *, int, unsigned *);
	int (*utilisation)(void *, utilisation *);
	int (*memory)(void *, memory_v1 *);
	int (*memory2)(void *, memory_v2 *);
	int (*throttle)(void *, unsigned long long *);
	int (*power)(void *, unsigned *);
	int (*fields)(void *, int, field_value *);
	int (*gpm_alloc)(void **);
	int (*gpm_free)(void *);
	int (*gpm_sample)(void *, void *);
	int (*gpm_metrics)(gpm_request *);

	int64_t slow_ns; // when these were read
	int32_t memory_mhz, temperature_c;
	int64_t memory_bytes;

	gpm_request *gpm; // NULL where not offered
	void *previous, *current;
	int64_t gpm_ns; // when current was taken; 0 not yet
	double tensor, dram;
};

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

jt_gpu *jt_open(unsigned index, int offers, int *ret)
{
	jt_gpu *g = calloc(1, sizeof *g);
	if (!g)
		return NULL;
	g->offers = offers;
	int (*handle)(unsigned, void **) = dlsym(RTLD_DEFAULT, "nvmlDeviceGetHandleByIndex_v2");
	if (!handle)
		handle = dlsym(RTLD_DEFAULT, "nvmlDeviceGetHandleByIndex");
	g->clock_info = dlsym(RTLD_DEFAULT, "nvmlDeviceGetClockInfo");
	g->temperature = dlsym(RTLD_DEFAULT, "nvmlDeviceGetTemperature");
	g->utilisation = dlsym(RTLD_DEFAULT, "nvmlDeviceGetUtilizationRates");
	g->memory = dlsym(RTLD_DEFAULT, "nvmlDeviceGetMemoryInfo");
	g->memory2 = dlsym(RTLD_DEFAULT, "nvmlDeviceGetMemoryInfo_v2");
	g->throttle = dlsym(RTLD_DEFAULT, offers & jt_event_reasons ? "nvmlDeviceGetCurrentClocksEventReasons"
								    : "nvmlDeviceGetCurrentClocksThrottleReasons");
	g->power = dlsym(RTLD_DEFAULT, "nvmlDeviceGetPowerUsage");
	g->fields = dlsym(RTLD_DEFAULT, "nvmlDeviceGetFieldValues");
	*ret = handle ? handle(index, &g->device) : function_not_found;
	g->slow_ns = INT64_MIN / 2;
	g->tensor = g->dram = -1;
	if (*ret != ok || !(offers & jt_gpm))
		return g;
	g->gpm_alloc = dlsym(RTLD_DEFAULT, "nvmlGpmSampleAlloc");
	g->gpm_free = dlsym(RTLD_DEFAULT, "nvmlGpmSampleFree");
	g->gpm_sample = dlsym(RTLD_DEFAULT, "nvmlGpmSampleGet");
	g->gpm_metrics = dlsym(RTLD_DEFAULT, "nvmlGpmMetricsGet");
	if (g->gpm_alloc && g->gpm_free && g->gpm_sample && g->gpm_metrics && g->gpm_alloc(&g->previous) == ok &&
	    g->gpm_alloc(&g->current) == ok)
		g->gpm = calloc(1, sizeof *g->gpm);
	return g;
}

void jt_close(jt_gpu *g)
{
	if (g->previous)
		g->gpm_free(g->previous);
	if (g->current)
		g->gpm_free(g->current);
	free(g->gpm);
	free(g);
}

static double percent(const gpm_metric *m) { return m->ret == ok ? m->value : -1; }

// read_gpm renews tensor and dram every 100 ms: they are means between two
// samples, and NVIDIA asks for at least that time between them.
static void read_gpm(jt_gpu *g, int64_t now)
{
	if (!g->gpm || (g->gpm_ns && now - g->gpm_ns < slow_every))
		return;
	int first = g->gpm_ns == 0;
	void *oldest = g->previous;
	g->previous = g->current;
	g->current = oldest;
	g->tensor = g->dram = -1;
	g->gpm_ns = 0; // after a failure it begins anew
	if (g->gpm_sample(g->device, g->current) != ok)
		return;
	g->gpm_ns = now;
	if (first)
		return;
	g->gpm->version = gpm_version;
	g->gpm->count = 2;
	g->gpm->sample1 = g->previous;
	g->gpm->sample2 = g->current;
	g->gpm->metrics[0].id = metric_tensor;
	g->gpm->metrics[1].id = metric_dram;
	if (g->gpm_metrics(g->gpm) != ok)
		return;
	g->tensor = percent(&g->gpm->metrics[0]);
	g->dram = percent(&g->gpm->metrics[1]);
}

// call makes a call of the library, which may lack it.
#define call(function, ...) ((function) ? (function)(__VA_ARGS__) : function_not_found)

// good tells whether a call gave a value, and notes one that failed. What the GPU
// or its driver does not offer is no failure: it is unknown.
static int good(jt_reading *r, int which, int ret)
{
	if (ret == not_supported || ret == function_not_found)
		return 0;
	if (ret != ok && r->failed == jt_call_none) {
		r->failed = which;
		r->ret = ret;
	}
	return ret == ok;
}

// lost tells whether the GPU is gone for now, or its driver.
static int lost(int ret)
{
	return ret == gpu_is_lost || ret == reset_required || ret == uninitialized || ret == driver_not_loaded ||
	       ret == version_mismatch;
}

// read_slow renews what changes slowly: every 100 ms, at once after a failure.
static void read_slow(jt_gpu *g, jt_reading *r)
{
	if (r->t_ns - g->slow_ns < slow_every)
		return;
	g->memory_mhz = -1;
	g->temperature_c = jt_unknown_c;
	g->memory_bytes = -1;
	unsigned u;
	if (good(r, jt_call_memory_clock, call(g->clock_info, g->device, clock_memory, &u)))
		g->memory_mhz = u;
	if (good(r, jt_call_temperature, call(g->temperature, g->device, temperature_gpu, &u)))
		g->temperature_c = u;
	if (g->offers & jt_memory_v2) {
		memory_v2 m = {.version = sizeof m | 2 << 24};
		if (good(r, jt_call_memory, call(g->memory2, g->device, &m)))
			g->memory_bytes = m.used;
	} else {
		memory_v1 m;
		if (good(r, jt_call_memory, call(g->memory, g->device, &m)))
			g->memory_bytes = m.used;
	}
	if (r->failed == jt_call_none)
		g->slow_ns = r->t_ns;
}

void jt_poll(jt_gpu *g, jt_reading *r)
{
	memset(r, 0, sizeof *r);
	r->t_ns = now_ns();
	r->sm_mhz = r->memory_mhz = r->utilisation_pct = -1;
	r->temperature_c = jt_unknown_c;
	r->memory_bytes = -1;
	r->tensor_pct = r->dram_pct = -1;

	unsigned u;
	if (good(r, jt_call_sm_clock, call(g->clock_info, g->device, clock_sm, &u)))
		r->sm_mhz = u;
	else if (lost(r->ret))
		return;
	utilisation rates;
	if ((g->offers & jt_utilisation) && good(r, jt_call_utilisation, call(g->utilisation, g->device, &rates)))
		r->utilisation_pct = rates.gpu;
	unsigned long long bits;
	if ((g->offers & (jt_event_reasons | jt_throttle_reasons)) &&
	    good(r, jt_call_throttle, call(g->throttle, g->device, &bits)))
		r->throttle = bits;
	read_slow(g, r);
	r->memory_mhz = g->memory_mhz;
	r->temperature_c = g->temperature_c;
	r->memory_bytes = g->memory_bytes;
	read_gpm(g, r->t_ns);
	r->tensor_pct = g->tensor;
	r->dram_pct = g->dram;
	r->took_ns = now_ns() - r->t_ns;
}

int jt_power(jt_gpu *g, int source, uint32_t *mw)
{
	if (source == jt_average)
		return call(g->power, g->device, mw);
	field_value f = {.field = field_power_instant};
	int ret = call(g->fields, g->device, 1, &f);
	*mw = f.value.u;
	return ret == ok ? f.ret : ret;
}

// --- the thread ----------------------------------------------------------------

enum { kept = 4096 }; // readings that wait for the reader: 40 s of them

// Held while a lost GPU is tried.
static pthread_mutex_t trying = PTHREAD_MUTEX_INITIALIZER;

void jt_pause(void) { pthread_mutex_lock(&trying); }
void jt_resume(void) { pthread_mutex_unlock(&trying); }

struct jt_poller {
	jt_gpu *gpu;
	int64_t period, every[jt_sources];
	pthread_t thread;
	atomic_int stop;
	atomic_llong missed;
	atomic_ullong head, tail; // written by the thread, by the reader
	jt_reading ring[kept];
};

// hurry has the calling thread run soon after it wakes, on a busy machine too.
// It sleeps nearly always and takes nothing from others worth mention.
static void hurry(void)
{
	// Real-time, at the lowest priority but one (the sampler's slow loop has the
	// lowest): takes root or RLIMIT_RTPRIO.
	struct sched_param p = {.sched_priority = 2};
	if (pthread_setschedparam(pthread_self(), SCHED_RR, &p) == 0)
		return;
	// Else a raised priority; where that is refused too, the usual one has to do.
	setpriority(PRIO_PROCESS, syscall(SYS_gettid), -10);
}

static void *run(void *arg)
{
	jt_poller *p = arg;
	hurry();
	int64_t next = now_ns(), retry = 0;
	for (int64_t round = 0; !atomic_load(&p->stop); round++) {
		unsigned long long head = atomic_load(&p->head);
		int64_t t = now_ns();
		if (t >= retry && head - atomic_load(&p->tail) < kept) {
			jt_reading *r = &p->ring[head % kept];
			if (retry)
				jt_pause();
			jt_poll(p->gpu, r);
			if (retry)
				jt_resume();
			retry = 0;
			if (lost(r->ret))
				retry = t + 1000000000; // try a lost GPU once a second
			else
				for (int s = 0; s < jt_sources; s++) {
					if (!p->every[s] || round % p->every[s])
						continue;
					int64_t before = now_ns();
					r->due[s] = 1;
					r->power_ret[s] = jt_power(p->gpu, s, &r->power_mw[s]);
					r->power_took_ns[s] = now_ns() - before;
					r->power_ns[s] = before + r->power_took_ns[s] / 2;
				}
			atomic_store(&p->head, head + 1);
		} else if (t >= retry)
			atomic_fetch_add(&p->missed, 1);
		next += p->period;
		int64_t late = now_ns() - next;
		if (late >= p->period) { // whole periods late: those are left out
			atomic_fetch_add(&p->missed, late / p->period);
			next += late / p->period * p->period;
		}
		struct timespec at = {next / 1000000000, next % 1000000000};
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
			;
	}
	return NULL;
}

jt_poller *jt_start(jt_gpu *g, int64_t period_ns, const int64_t *every)
{
	jt_poller *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->gpu = g;
	p->period = period_ns;
	memcpy(p->every, every, sizeof p->every);
	// Signals are for Go's threads.
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&p->thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		free(p);
		return NULL;
	}
	return p;
}

int jt_read(jt_poller *p, jt_reading *out, int n)
{
	unsigned long long tail = atomic_load(&p->tail), head = atomic_load(&p->head);
	int i = 0;
	for (; i < n && tail < head; i++, tail++)
		out[i] = p->ring[tail % kept];
	atomic_store(&p->tail, tail);
	return i;
}

int64_t jt_missed(jt_poller *p) { return atomic_load(&p->missed); }

void jt_stop(jt_poller *p)
{
	atomic_store(&p->stop, 1);
	pthread_join(p->thread, NULL);
}

void jt_free(jt_poller *p)
{
	jt_close(p->gpu);
	free(p);
}
