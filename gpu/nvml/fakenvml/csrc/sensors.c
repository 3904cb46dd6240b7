/* The fake library's sensors, processes and GPM: compiled as one with, and
 * after, fakenvml.c.
 */

/* --- power: a square wave, so that every reading can be worked out ------- */

/* high_ns is the time at the high level from 0 to t. */
static int64_t high_ns(u64 *d, int64_t t)
{
	int64_t p = get(d + POWER_PERIOD_NS);
	if (p == 0)
		return t;
	int64_t rest = t % p, half = p / 2;
	return t / p * half + (rest < half ? rest : half);
}

static u32 mean_mw(u64 *d, int64_t from, int64_t to)
{
	double lo = get(d + POWER_LOW_MW), hi = get(d + POWER_HIGH_MW);
	double share = (double)(high_ns(d, to) - high_ns(d, from)) / (double)(to - from);
	return (u32)(lo + (hi - lo) * share + 0.5);
}

static int64_t renewed(int64_t t, u64 period) { return period ? t - t % (int64_t)period : t; }

/* wrong is what becomes of a value of this source (a NO_ bit): the n-th of it, of
 * time at. */
static u32 wrong(u64 *d, u64 source, u64 n, int64_t at, u32 mw)
{
	u64 every = get(d + WRONG_EVERY), pct = get(d + SCALED_PCT);
	int64_t from = (int64_t)get(d + WRONG_FROM_NS), to = (int64_t)get(d + WRONG_TO_NS);
	if (get(d + WRONG_SOURCES) & source && at >= from && (!to || at < to) && (!every || n % every == 0))
		return (u32)get(d + WRONG_MW);
	return get(d + SCALED_SOURCES) & source ? (u32)(mw * pct / 100) : mw;
}

static u32 window_mw(u64 *d, int period, int window, u64 source, int64_t *at)
{
	*at = renewed(now_ns(), get(d + period));
	return wrong(d, source, get(d + READS), *at, mean_mw(d, *at - (int64_t)get(d + window), *at));
}

ret_t nvmlDeviceGetPowerUsage(struct device *dev, u32 *mw)
{
	READ(NO_AVERAGE, CALL_US);
	int64_t at;
	*mw = window_mw(d, AVERAGE_PERIOD_NS, AVERAGE_WINDOW_NS, NO_AVERAGE, &at);
	return OK;
}

struct field {
	u32 id, scope;
	long long time_us, latency_us;
	u32 type;
	ret_t ret;
	union { double d; u32 u; u64 ull; } value;
};

ret_t nvmlDeviceGetFieldValues(struct device *dev, int n, struct field *f)
{
	READ(0, CALL_US);
	for (int i = 0; i < n; i++) {
		int average = f[i].id == 185, instant = f[i].id == 186;
		if ((!average && !instant) || (average && get(d + UNSUPPORTED) & NO_AVERAGE) ||
		    (instant && get(d + UNSUPPORTED) & NO_INSTANT)) {
			f[i].ret = NOT_SUPPORTED;
			continue;
		}
		int64_t at;
		f[i].value.ull = 0;
		f[i].value.u = average ? window_mw(d, AVERAGE_PERIOD_NS, AVERAGE_WINDOW_NS, NO_AVERAGE, &at)
				       : window_mw(d, INSTANT_PERIOD_NS, INSTANT_WINDOW_NS, NO_INSTANT, &at);
		f[i].time_us = (long long)wall_us(now_ns());
		f[i].latency_us = 0;
		f[i].type = 1; /* unsigned int */
		f[i].ret = OK;
	}
	return OK;
}

struct sample { u64 time_us; union { u32 u; u64 ull; } value; };

ret_t nvmlDeviceGetSamples(struct device *dev, u32 type, u64 last_us, u32 *value_type, u32 *count,
			   struct sample *out)
{
	READ(NO_BUFFER, BUFFER_CALL_US);
	if (type != 0)
		return NOT_SUPPORTED;
	u64 period = get(d + BUFFER_PERIOD_NS), len = get(d + BUFFER_LEN);
	if (!out) { /* asked for the size of the whole buffer */
		*count = (u32)len;
		*value_type = 1;
		return OK;
	}
	int64_t newest = renewed(now_ns(), period);
	u32 n = 0;
	for (u64 i = len; i-- > 0 && n < *count;) {
		int64_t at = newest - (int64_t)(i * period);
		u64 us = wall_us(at) + (u64)((int64_t)get(d + STAMP_SHIFT_NS) / 1000);
		if (us <= last_us)
			continue;
		out[n].time_us = us;
		out[n].value.ull = 0;
		int64_t end = at - (int64_t)get(d + BUFFER_LAG_NS);
		out[n++].value.u = wrong(d, NO_BUFFER, (u64)at / period, at, mean_mw(d, end - (int64_t)period, end));
	}
	*count = n;
	*value_type = 1;
	return n ? OK : NOT_FOUND;
}

ret_t nvmlDeviceGetTotalEnergyConsumption(struct device *dev, u64 *mj)
{
	READ(NO_COUNTER, COUNTER_CALL_US);
	int64_t at = renewed(now_ns(), get(d + COUNTER_PERIOD_NS));
	unsigned __int128 lo = get(d + POWER_LOW_MW), hi = get(d + POWER_HIGH_MW);
	unsigned __int128 high = high_ns(d, at);
	*mj = (u64)((lo * ((u64)at - (u64)high) + hi * high) / 1000000000);
	if (get(d + SCALED_SOURCES) & NO_COUNTER)
		*mj = *mj * get(d + SCALED_PCT) / 100;
	*mj += get(d + COUNTER_OFFSET_MJ);
	return OK;
}

/* --- other readings ----------------------------------------------------- */

ret_t nvmlDeviceGetTemperature(struct device *dev, u32 sensor, u32 *c)
{
	READ(NO_TEMPERATURE, CALL_US);
	if (sensor != 0)
		return INVALID_ARGUMENT;
	*c = (u32)get(d + TEMP_C);
	return OK;
}

struct utilization { u32 gpu, memory; };

ret_t nvmlDeviceGetUtilizationRates(struct device *dev, struct utilization *u)
{
	READ(0, CALL_US);
	if (get(d + MIG))
		return NOT_SUPPORTED;
	u->gpu = (u32)get(d + GPU_UTIL);
	u->memory = (u32)get(d + MEM_UTIL);
	return OK;
}

struct memory { u64 total, free, used; };
struct memory_v2 { u32 version; u64 total, reserved, free, used; };

ret_t nvmlDeviceGetMemoryInfo(struct device *dev, struct memory *m)
{
	READ(NO_MEMORY, CALL_US);
	m->total = get(d + MEM_TOTAL_MIB) << 20;
	m->used = get(d + MEM_USED_MIB) << 20;
	m->free = m->total - m->used;
	return OK;
}

ret_t nvmlDeviceGetMemoryInfo_v2(struct device *dev, struct memory_v2 *m)
{
	if (m->version != (sizeof *m | 2 << 24))
		return VERSION_MISMATCH;
	struct memory v1;
	ret_t r = nvmlDeviceGetMemoryInfo(dev, &v1);
	if (r != OK)
		return r;
	m->total = v1.total, m->free = v1.free, m->used = v1.used, m->reserved = 0;
	return OK;
}

ret_t nvmlDeviceGetCurrentClocksEventReasons(struct device *dev, u64 *bits)
{
	READ(NO_THROTTLE, CALL_US);
	u64 b = get(d + THROTTLE), lock = get(d + LOCK), cap = get(d + CAP_MHZ);
	if (lock)
		b |= 1 << 1; /* a clock setting */
	if (cap && cap < locked_to(d, lock))
		b |= 1 << 2; /* power cap */
	*bits = b;
	return OK;
}

ret_t nvmlDeviceGetCurrentClocksThrottleReasons(struct device *dev, u64 *bits)
{
	return nvmlDeviceGetCurrentClocksEventReasons(dev, bits);
}

/* The structure of versions 2 and 3; version 1 has the first two members only. */
struct process { u32 pid; u64 bytes; u32 gpu_instance, compute_instance; };
struct process_v1 { u32 pid; u64 bytes; };

static ret_t processes(struct device *dev, u64 kind, u32 *count, void *out, size_t size)
{
	FIXED();
	if (get(d + UNSUPPORTED) & NO_PROCESSES)
		return NOT_SUPPORTED;
	u32 room = *count, n = 0;
	for (u64 i = 0; i < get(d + PROCESSES) && i < MAX_PROCESSES; i++) {
		u64 *p = d + PROCESS_LIST + 2 * i;
		if ((u32)get(p) != kind)
			continue;
		if (n < room && out) {
			struct process v = {get(p) >> 32, get(p + 1) << 20, 0xffffffff, 0xffffffff};
			memcpy((char *)out + n * size, &v, size);
		}
		n++;
	}
	*count = n;
	return n > room ? INSUFFICIENT_SIZE : OK;
}

#define PROCESS_LISTS(what, kind) \
	ret_t nvmlDeviceGet##what##RunningProcesses(struct device *dev, u32 *n, struct process_v1 *out) \
	{ return processes(dev, kind, n, out, sizeof *out); } \
	ret_t nvmlDeviceGet##what##RunningProcesses_v2(struct device *dev, u32 *n, struct process *out) \
	{ return processes(dev, kind, n, out, sizeof *out); } \
	ret_t nvmlDeviceGet##what##RunningProcesses_v3(struct device *dev, u32 *n, struct process *out) \
	{ return processes(dev, kind, n, out, sizeof *out); }

PROCESS_LISTS(Compute, 0)
PROCESS_LISTS(Graphics, 1)
PROCESS_LISTS(MPSCompute, 2)

struct process_use { u32 pid; u64 time_us; u32 sm, memory, encoder, decoder; };

/* A sample a second of each process that was at work, as the driver has them. */
ret_t nvmlDeviceGetProcessUtilization(struct device *dev, struct process_use *out, u32 *count, u64 last_us)
{
	FIXED();
	if (get(d + UNSUPPORTED) & NO_PROCESS_USE)
		return NOT_SUPPORTED;
	u64 at = wall_us(now_ns()), n = 0, room = *count;
	at -= at % 1000000;
	for (u64 i = 0; at > last_us && i < get(d + PROCESSES) && i < MAX_PROCESSES; i++) {
		u64 use = get(d + PROCESS_USE + i);
		if (!(use & 0xff))
			continue;
		if (out && n < room) {
			struct process_use v = {get(d + PROCESS_LIST + 2 * i) >> 32, at, use & 0xff, use >> 8 & 0xff, 0, 0};
			out[n] = v;
		}
		n++;
	}
	*count = (u32)n;
	if (!n)
		return NOT_FOUND;
	return out && n <= room ? OK : INSUFFICIENT_SIZE;
}

/* --- GPM ----------------------------------------------------------------- */

struct gpm_sample { struct device *dev; int64_t t; };
struct gpm_support { u32 version, supported; };
struct gpm_metric { u32 id; ret_t ret; double value; const char *names[3]; };
struct gpm_get { u32 version, n; struct gpm_sample *s1, *s2; struct gpm_metric metrics[]; };

ret_t nvmlGpmQueryDeviceSupport(struct device *dev, struct gpm_support *s)
{
	FIXED();
	if (s->version != 1)
		return VERSION_MISMATCH;
	s->supported = !(get(d + UNSUPPORTED) & NO_GPM);
	return OK;
}

ret_t nvmlGpmSampleAlloc(struct gpm_sample **s)
{
	*s = calloc(1, sizeof **s);
	return *s ? OK : INVALID_ARGUMENT;
}

ret_t nvmlGpmSampleFree(struct gpm_sample *s) { free(s); return OK; }

ret_t nvmlGpmSampleGet(struct device *dev, struct gpm_sample *s)
{
	READ(NO_GPM, CALL_US);
	s->dev = dev;
	s->t = now_ns();
	return OK;
}

ret_t nvmlGpmMetricsGet(struct gpm_get *g)
{
	if (g->version != 1)
		return VERSION_MISMATCH;
	if (!g->s1 || !g->s2 || g->s1->dev != g->s2->dev || g->s2->t <= g->s1->t)
		return INVALID_ARGUMENT;
	u64 *d;
	ret_t r = find(g->s2->dev, &d);
	if (r != OK)
		return r;
	for (u32 i = 0; i < g->n; i++) {
		struct gpm_metric *m = g->metrics + i;
		m->ret = OK;
		if (m->id == 5)
			m->value = get(d + TENSOR_MILLIPCT) / 1000.0;
		else if (m->id == 10)
			m->value = get(d + DRAM_MILLIPCT) / 1000.0;
		else
			m->ret = NOT_SUPPORTED;
	}
	return OK;
}
