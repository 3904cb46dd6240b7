// The cheap readings of a GPU in one go, and a thread that makes them at fixed
// deadlines. See poll.c.
#include <stdint.h>

// What a GPU offers, besides what every one does.
enum {
	jt_memory_v2 = 1,
	jt_utilisation = 2,
	jt_event_reasons = 4,
	jt_throttle_reasons = 8,
	jt_gpm = 16,
};

// The calls of a round, to say which failed.
enum {
	jt_call_none,
	jt_call_sm_clock,
	jt_call_memory_clock,
	jt_call_temperature,
	jt_call_utilisation,
	jt_call_memory,
	jt_call_throttle,
};

enum { jt_unknown_c = -1000 };

// The polled power sources.
enum { jt_average, jt_instant, jt_sources };

// jt_reading is one round, as the driver said it; unknown is -1, but for ret and
// temperature_c, where it is jt_unknown_c.
typedef struct {
	int64_t t_ns; // CLOCK_MONOTONIC, when it began
	int64_t took_ns; // without power
	int32_t sm_mhz, memory_mhz, temperature_c, utilisation_pct;
	int64_t memory_bytes;
	uint64_t throttle;
	double tensor_pct, dram_pct;
	int32_t failed; // the first call that failed, and what it returned
	int32_t ret;
	int32_t due[jt_sources]; // whether power was read in this round
	int32_t power_ret[jt_sources];
	uint32_t power_mw[jt_sources];
	int64_t power_ns[jt_sources]; // middle of the call
	int64_t power_took_ns[jt_sources];
} jt_reading;

typedef struct jt_gpu jt_gpu;
typedef struct jt_poller jt_poller;

// jt_open prepares the GPU of that index in the library that the process has
// loaded; offers is a set of the bits above. It returns NULL without memory.
// Not safe for concurrent use, and neither are the functions that take it.
jt_gpu *jt_open(unsigned index, int offers, int *ret);
void jt_close(jt_gpu *);
void jt_poll(jt_gpu *, jt_reading *);
// jt_power reads one power source, in mW.
int jt_power(jt_gpu *, int source, uint32_t *mw);

// jt_start polls every period; every[source] says in how many rounds that source
// is read once, 0 never. It takes the jt_gpu over. NULL: no thread to be had.
jt_poller *jt_start(jt_gpu *, int64_t period_ns, const int64_t *every);
// jt_read moves up to n readings to out, oldest first, and returns their number.
int jt_read(jt_poller *, jt_reading *out, int n);
int64_t jt_missed(jt_poller *);
// jt_stop ends the thread; jt_free releases what is left, after the last read.
void jt_stop(jt_poller *);
void jt_free(jt_poller *);

// jt_pause has pollers try no lost GPU until jt_resume: the library may be
// initialised anew meanwhile.
void jt_pause(void);
void jt_resume(void);
