package nvml

import "math"

// What the driver says is believed within bounds that no board comes near. NVML
// has several ways to say that it does not know (all ones in 16, 32 or 64 bits
// among them), drivers use them in calls that succeed, and what is out of bounds
// is unknown: NaN, or -1 for whole numbers.
const (
	mostMHz    = 30_000  // memory clocks reach 18,000
	mostWatts  = 20_000  // a board of two GPUs draws 2,700
	leastC     = -60     // °C
	mostC      = 250     // °C
	mostBytes  = 1 << 46 // 64 TiB
	mostJoules = 1e12    // 1 kW for thirty years
	mostHeldNS = 1e18    // thirty years
	roundedPct = 101     // a share computed from two counters may pass 100 by its rounding
)

// clockMHz is a clock as the driver says it.
func clockMHz(mhz int64) int {
	if mhz < 0 || mhz > mostMHz {
		return -1
	}
	return int(mhz)
}

// watts is a power that the driver says in mW.
func watts(mw float64) float64 { return within(mw/1000, 0, mostWatts) }

// limitWatts is a power limit said in mW; one of 0 is none that is known.
func limitWatts(mw uint32) float64 {
	if mw == 0 {
		return math.NaN()
	}
	return watts(float64(mw))
}

func joules(mj uint64) float64 { return within(float64(mj)/1000, 0, mostJoules) }

// celsius is a temperature; below zero NVML's unsigned number wraps.
func celsius(t int32) float64 { return within(float64(t), leastC, mostC) }

func percent(v float64) float64 { return min(within(v, 0, roundedPct), 100) }

// mebibytes is a memory size said in bytes.
func mebibytes(bytes uint64) float64 {
	if bytes > mostBytes {
		return math.NaN()
	}
	return float64(bytes) / (1 << 20)
}

// wholeMiB is mebibytes as a whole number, -1 unknown.
func wholeMiB(bytes uint64) int {
	if v := mebibytes(bytes); !math.IsNaN(v) {
		return int(v)
	}
	return -1
}

func within(v, least, most float64) float64 {
	if v >= least && v <= most {
		return v
	}
	return math.NaN()
}
