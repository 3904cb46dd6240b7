/* The fake library's knobs beside the SM clock: memory clock, power limit, workload
 * power profiles. Compiled as one with, and after, fakenvml.c.
 */

ret_t nvmlDeviceSetMemoryLockedClocks(struct device *dev, u32 lo, u32 hi)
{
	return change(dev, KNOB_MEM, OP_SET, (u64)lo << 32 | hi);
}

ret_t nvmlDeviceResetMemoryLockedClocks(struct device *dev) { return change(dev, KNOB_MEM, OP_RESET, 0); }

ret_t nvmlDeviceGetPowerManagementLimit(struct device *dev, u32 *mw)
{
	FIXED();
	OFFERED(NO_POWER_LIMIT);
	hang_reads(d);
	*mw = (u32)get(d + POWER_LIMIT_MW);
	return OK;
}

ret_t nvmlDeviceGetEnforcedPowerLimit(struct device *dev, u32 *mw)
{
	FIXED();
	ret_t set = nvmlDeviceGetPowerManagementLimit(dev, mw);
	u32 other = (u32)get(d + LIMITER_MW);
	if (set == OK && other && other < *mw)
		*mw = other;
	return set;
}

ret_t nvmlDeviceGetPowerManagementDefaultLimit(struct device *dev, u32 *mw)
{
	FIXED();
	OFFERED(NO_POWER_LIMIT | NO_POWER_DEFAULT);
	*mw = (u32)get(d + POWER_DEFAULT_MW);
	return OK;
}

ret_t nvmlDeviceGetPowerManagementLimitConstraints(struct device *dev, u32 *min, u32 *max)
{
	FIXED();
	OFFERED(NO_POWER_LIMIT | NO_POWER_SET);
	*min = (u32)get(d + POWER_MIN_MW);
	*max = (u32)get(d + POWER_MAX_MW);
	return OK;
}

ret_t nvmlDeviceSetPowerManagementLimit(struct device *dev, u32 mw) { return change(dev, KNOB_POWER, OP_SET, mw); }

struct power_value { u32 version; unsigned char scope; u32 mw; };

ret_t nvmlDeviceSetPowerManagementLimit_v2(struct device *dev, struct power_value *v)
{
	if (v->version != (sizeof *v | 2 << 24))
		return VERSION_MISMATCH;
	if (v->scope != 0)
		return INVALID_ARGUMENT;
	return change(dev, KNOB_POWER, OP_SET, v->mw);
}

struct violation { u64 reference_us, ns; };

/* A share of all time, and what is added to it. */
ret_t nvmlDeviceGetViolationStatus(struct device *dev, int policy, struct violation *v)
{
	FIXED();
	if (policy < 0 || policy > 11)
		return INVALID_ARGUMENT;
	if (!(get(d + LIMITS_COUNTED) >> policy & 1))
		return NOT_SUPPORTED;
	hang_reads(d);
	u64 *of = policy == 0 ? d + POWER_HELD_MILLI : policy == 1 ? d + HEAT_HELD_MILLI : NULL;
	v->reference_us = wall_us(now_ns());
	v->ns = of ? (u64)now_ns() / 1000 * get(of) + get(of + 1) : 0;
	return OK;
}

struct mask { u32 word[8]; };
struct profile { u32 version, id, priority; struct mask conflicting; };
struct profiles { u32 version; struct mask offered; struct profile profile[255]; };
struct current { u32 version; struct mask offered, requested, enforced; };
struct requested { u32 version; struct mask requested; };

#define VERSIONED(v) \
	if ((v)->version != (sizeof *(v) | 1 << 24)) \
		return VERSION_MISMATCH

ret_t nvmlDeviceWorkloadPowerProfileGetProfilesInfo(struct device *dev, struct profiles *p)
{
	FIXED();
	VERSIONED(p);
	if (!get(d + PROFILES))
		return NOT_SUPPORTED;
	p->offered.word[0] = (u32)get(d + PROFILES);
	return OK;
}

ret_t nvmlDeviceWorkloadPowerProfileGetCurrentProfiles(struct device *dev, struct current *p)
{
	FIXED();
	VERSIONED(p);
	if (!get(d + PROFILES))
		return NOT_SUPPORTED;
	p->offered.word[0] = (u32)get(d + PROFILES);
	p->requested.word[0] = (u32)get(d + REQUESTED);
	p->enforced.word[0] = p->requested.word[0] & ~(u32)get(d + PROFILES_OUT);
	return OK;
}

/* Set adds to what is requested, clear takes from it. */
ret_t nvmlDeviceWorkloadPowerProfileSetRequestedProfiles(struct device *dev, struct requested *p)
{
	FIXED();
	VERSIONED(p);
	return change(dev, KNOB_PROFILE, OP_SET, get(d + REQUESTED) | p->requested.word[0]);
}

ret_t nvmlDeviceWorkloadPowerProfileClearRequestedProfiles(struct device *dev, struct requested *p)
{
	FIXED();
	VERSIONED(p);
	return change(dev, KNOB_PROFILE, OP_RESET, get(d + REQUESTED) & ~(u64)p->requested.word[0]);
}
